//! `[config]` and `[status]`: how a running program is looked at and changed.

use crate::config::declare::settings;
use crate::config::kinds::Flag;

settings! {
    /// The configuration itself.
    pub struct FilesConfig {
        /// Whether a program reads its configuration files again when one of them changes. A file with an
        /// error changes nothing, and the error is logged.
        watch: bool = false, Flag, Restart;
    }
}

settings! {
    /// What other programs of the same user may ask.
    pub struct StatusConfig {
        /// Whether `remotemedia pool` of the same user may look at the pools of a program, and recycle and
        /// drain them, through a local socket.
        socket: bool = true, Flag, Restart;
    }
}
