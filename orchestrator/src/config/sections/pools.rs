//! What only `[pools.NAME]` has; its other keys are those of the sections that a pool inherits from.

use std::path::PathBuf;

use crate::config::declare::settings;
use crate::config::kinds::{AnyPath, Niceness, Processors, list};

settings! {
    /// What only a pool with a name has.
    pub struct OwnPoolConfig {
        /// The nodes that run in this pool, whatever they ask for: ids, names, types, classes, or
        /// `package.module:Class`, in which `*` stands for any text. Of several patterns for one node that with most characters
        /// beside `*` counts.
        nodes: Vec<String> = Vec::new(), list(), Sessions;
        /// Folders that stand in front of the module search path, which workers take over from the
        /// caller.
        sys_path: Vec<String> = Vec::new(), list(), Sessions;
        /// Working directory of the nodes. Empty is that of the caller.
        working_directory: Option<PathBuf> = None, AnyPath, Sessions;
        /// The processors that the workers may run on, such as "0-3,8". Empty is those of the caller.
        cpu_affinity: Vec<u32> = Vec::new(), Processors, Workers;
        /// What is added to the niceness of the workers: above 0 they yield to other processes, below 0
        /// they go first, which needs CAP_SYS_NICE.
        nice: i32 = 0, Niceness, Workers;
    }
}
