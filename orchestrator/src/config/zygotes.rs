//! The settings of zygotes: processes that have imported what workers need, and fork them.

use super::keys::{Key, Kind};

pub(super) fn zygote_key() -> Key {
    Key {
        section: "workers",
        name: "zygote",
        kind: Kind::Flag { get: |c| c.workers.zygote, set: |c, f| c.workers.zygote = f },
        doc: "Whether CPython workers after the first are forked, in milliseconds, from a process that \
              has imported numpy and what sessions load from installed packages. false starts each \
              on its own.",
    }
}

pub(super) fn preload_key() -> Key {
    Key {
        section: "python",
        name: "preload",
        kind: Kind::List {
            get: |c| c.python.preload.clone(),
            set: |c, names| c.python.preload = names,
        },
        doc: "Modules that are imported before workers are forked (see `[workers] zygote`), beside \
              numpy and those that sessions have loaded before.",
    }
}
