//! Typed configuration: the settings of a runtime, and where they come from. `sections` declares each
//! setting once; the modules below read TOML and other sources, check them, put them in layers and
//! describe them.

use std::path::Path;
use std::sync::{LazyLock, OnceLock};

pub(crate) mod changes;
mod declare;
mod document;
pub mod env;
mod error;
mod kinds;
mod layers;
mod merge;
pub(crate) mod policies;
pub(crate) mod pools;
pub mod reference;
mod sections;
pub mod show;
pub(crate) mod units;

#[cfg(test)]
mod tests;

pub use changes::Change;
pub use declare::Effect;
use declare::Key;
pub use error::{ConfigError, ConfigProblem, ConfigProblemKind, ConfigWarning, Origin};
pub use layers::{Loaded, Named, Sources};
pub use policies::NodePolicy;
pub use pools::{NamedPool, PoolConfig};
pub(crate) use sections::module_settings;
pub use sections::{
    CallsConfig, FallbackConfig, FilesConfig, LimitsConfig, OutputConfig, OwnPoolConfig,
    PoolBounds, PythonConfig, RustPythonConfig, SegmentChoice, SharedMemoryConfig, StatusConfig,
    WorkersConfig,
};

/// The documented template: every key with its unit, its effect and its default.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// All settings of a runtime.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// Number and lifetime of the CPython workers.
    pub bounds: PoolBounds,
    /// How workers start and end.
    pub workers: WorkersConfig,
    /// The interpreter of the worker processes.
    pub python: PythonConfig,
    /// Number and lifetime of the RustPython workers.
    pub rustpython_bounds: PoolBounds,
    /// The program of RustPython workers.
    pub rustpython: RustPythonConfig,
    /// What happens to a node that RustPython cannot run.
    pub fallback: FallbackConfig,
    /// Limits of node calls: time, buffering and waiting.
    pub calls: CallsConfig,
    /// Memory that arrays travel in.
    pub shared_memory: SharedMemoryConfig,
    /// Limits on what a worker may use and send.
    pub limits: LimitsConfig,
    /// What happens to text that nodes print.
    pub output: OutputConfig,
    /// How the configuration is read.
    pub files: FilesConfig,
    /// What other programs of the same user may ask.
    pub status: StatusConfig,
    /// What is decided for nodes by their names, whatever their authors have set.
    pub nodes: Vec<NodePolicy>,
    /// Pools beside those of the two interpreters.
    pub named_pools: Vec<NamedPool>,
}

/// Name and description of each section, in the order of the reference.
const SECTIONS: [(&str, &str); 10] = [
    (
        "workers",
        "Life of the worker processes. Each interpreter has a pool of its own; sizes are those of the \
         pool of CPython.",
    ),
    ("python", "The interpreter of the worker processes."),
    (
        "rustpython",
        "Workers that run RustPython: a pool of their own, beside that of CPython. What [workers] and \
         [python] say about times, environment and pickles holds for them too.",
    ),
    ("fallback", "What happens to a node that RustPython cannot run."),
    ("calls", "Calls of nodes."),
    (
        "shared_memory",
        "Memory that arrays travel in between the orchestrator and its workers. Each worker has memory \
         of its own in both directions; it is made when it is first needed.",
    ),
    (
        "limits",
        "What a worker may use and send. See [Limits of workers](#limits-of-workers) for what happens \
         when it exceeds one of these.",
    ),
    ("output", "What nodes print and log."),
    ("config", "The configuration itself."),
    ("status", "What `remotemedia pool` may ask a running program."),
];

/// All keys, section by section.
fn keys() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
        let mut keys = Vec::new();
        keys.extend(declare::keys("workers", |c| &c.bounds, |c| &mut c.bounds));
        keys.extend(declare::keys("workers", |c| &c.workers, |c| &mut c.workers));
        keys.extend(declare::keys("python", |c| &c.python, |c| &mut c.python));
        keys.extend(declare::keys("rustpython", |c| &c.rustpython, |c| &mut c.rustpython));
        keys.extend(declare::keys(
            "rustpython",
            |c| &c.rustpython_bounds,
            |c| &mut c.rustpython_bounds,
        ));
        keys.extend(declare::keys("fallback", |c| &c.fallback, |c| &mut c.fallback));
        keys.extend(declare::keys("calls", |c| &c.calls, |c| &mut c.calls));
        keys.extend(declare::keys("shared_memory", |c| &c.shared_memory, |c| &mut c.shared_memory));
        keys.extend(declare::keys("limits", |c| &c.limits, |c| &mut c.limits));
        keys.extend(declare::keys("output", |c| &c.output, |c| &mut c.output));
        keys.extend(declare::keys("config", |c| &c.files, |c| &mut c.files));
        keys.extend(declare::keys("status", |c| &c.status, |c| &mut c.status));
        keys
    });
    &KEYS
}

/// The key with a name in a section.
fn key(section: &str, name: &str) -> Option<&'static Key> {
    keys().iter().find(|key| key.section == section && key.setting.name == name)
}

/// The environment variables that set a key each.
#[must_use]
pub fn variables() -> Vec<String> {
    keys().iter().map(Key::variable).collect()
}

/// Processors that this process may use. Cached: finding out reads files of the control group, and
/// every plan needs the number.
pub(crate) fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

impl Config {
    /// Reads a configuration from TOML text alone.
    ///
    /// # Errors
    /// One [`ConfigError`] with every problem found, each with its place in the text.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        layers::alone(&Named::Text(text.to_owned())).map(|loaded| loaded.config)
    }

    /// Looks for errors in a file.
    ///
    /// # Errors
    /// As [`Config::from_file`].
    pub fn check(path: &Path) -> Result<Vec<ConfigWarning>, ConfigError> {
        layers::alone(&Named::File(path.to_owned())).map(|loaded| loaded.warnings)
    }

    /// Reads a configuration file alone.
    ///
    /// # Errors
    /// As [`Config::from_toml`], or when the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        layers::alone(&Named::File(path.to_owned())).map(|loaded| loaded.config)
    }
}
