//! Typed configuration: the name, unit, default and source of every setting. The modules below read
//! TOML, check it and describe it.
//!
//! Every setting has a default, so no file is needed. A file that is named explicitly takes
//! precedence over the one named by the environment variable `REMOTEMEDIA_CONFIG`; no other place
//! is searched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::limits::Limits;
use crate::model::FailingDefaults;
use crate::placement::Engine;

pub mod env;
mod error;
mod failing;
mod interpreters;
mod keys;
mod limits;
pub(crate) mod policies;
mod pools;
mod read;
pub mod reference;
mod shared_memory;
pub(crate) mod units;
mod zygotes;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, ConfigProblem, ConfigProblemKind, Origin};
pub use interpreters::{FallbackConfig, RustPythonConfig};
pub use policies::NodePolicy;
pub use shared_memory::{SegmentChoice, SharedMemoryConfig};

/// The documented template: every key with its unit, its effect and its default.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// Lower bound of `workers.max = "auto"`: on a machine with one or two processors, the branches of
/// a graph or a few pipelines at once must not wait for each other's workers.
const AUTO_MIN_WORKERS: usize = 4;

/// All settings of a runtime.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// Number, lifetime and time limits of the workers.
    pub workers: WorkersConfig,
    /// The interpreter of the worker processes.
    pub python: PythonConfig,
    /// The workers that run RustPython.
    pub rustpython: RustPythonConfig,
    /// Moving nodes that RustPython cannot run to CPython.
    pub fallback: FallbackConfig,
    /// Limits of node calls: time, buffering and waiting.
    pub calls: CallsConfig,
    /// Memory that arrays travel in.
    pub shared_memory: SharedMemoryConfig,
    /// Limits on what a worker may use and send.
    pub limits: LimitsConfig,
    /// What happens to text that nodes print.
    pub output: OutputConfig,
    /// What is decided for nodes by their names, whatever their authors have set.
    pub nodes: Vec<NodePolicy>,
}

/// How many workers of one interpreter there are, and how long they live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolBounds {
    /// Workers that are kept even when idle.
    pub min: usize,
    /// Most workers at one time; `None` is automatic, see [`PoolBounds::max_workers`].
    pub max: Option<usize>,
    /// How long an idle worker above `min` is kept; `None` keeps it for ever.
    pub idle_timeout: Option<Duration>,
    /// Sessions after which a worker is replaced; `None` is no limit.
    pub max_sessions: Option<u64>,
    /// Resident memory in bytes above which a worker is replaced after a session; `None` is no
    /// limit.
    pub recycle_above_memory_bytes: Option<u64>,
    /// Growth of the resident memory, in bytes since the end of the worker's first session, above
    /// which it is replaced after a session; `None` is no limit.
    pub recycle_above_growth_bytes: Option<u64>,
    /// Calls after which a worker is replaced when its session has closed; `None` is no limit.
    pub recycle_after_calls: Option<u64>,
}

impl Default for PoolBounds {
    fn default() -> Self {
        Self {
            min: 0,
            max: None,
            idle_timeout: Some(Duration::from_secs(300)),
            max_sessions: None,
            recycle_above_memory_bytes: None,
            recycle_above_growth_bytes: None,
            recycle_after_calls: None,
        }
    }
}

impl PoolBounds {
    /// Most workers at one time: the configured number, or the number of processors this process
    /// may use, but at least four.
    #[must_use]
    pub fn max_workers(&self) -> usize {
        self.max.unwrap_or_else(|| processors().max(AUTO_MIN_WORKERS))
    }
}

/// Processors that this process may use. Cached: finding out reads files of the control group, and
/// every plan needs the number.
pub(crate) fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Number, lifetime and time limits of the workers.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkersConfig {
    /// Number and lifetime of the workers.
    pub pool: PoolBounds,
    /// Whether workers are forked from a process that has imported their modules.
    pub zygote: bool,
    /// How long a worker may take from its start to its first message.
    pub start_timeout: Duration,
    /// How long a session's nodes in a worker may take to be made and initialized.
    pub open_timeout: Duration,
    /// How long the `cleanup` of all nodes in a worker may take when a session closes.
    pub close_timeout: Duration,
    /// How long the error about a missed deadline may wait for stacks.
    pub stack_grace: Duration,
    /// How long a worker that missed a deadline may take to end after it was interrupted.
    pub stop_grace: Duration,
    /// How long a session waits for free workers.
    pub acquire_timeout: Duration,
}

impl Default for WorkersConfig {
    fn default() -> Self {
        Self {
            pool: PoolBounds::default(),
            zygote: true,
            start_timeout: Duration::from_secs(30),
            open_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(5),
            stack_grace: Duration::from_millis(5),
            stop_grace: Duration::from_millis(250),
            acquire_timeout: Duration::from_secs(60),
        }
    }
}

/// The interpreter of the worker processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonConfig {
    /// The interpreter of Python nodes whose hint does not name one. `None`: not set, so CPython.
    pub runtime: Option<Engine>,
    /// Path of the interpreter that workers run; `None` is the caller's own (for the command line
    /// see [`env::find_python`]).
    pub executable: Option<PathBuf>,
    /// Environment variables added to those that workers inherit.
    pub environment: BTreeMap<String, String>,
    /// Further environment variables that libraries read only once, when a worker starts.
    pub start_variables: Vec<String>,
    /// Modules that nodes can import under these names, with the files that they are in.
    pub modules: BTreeMap<String, String>,
    /// Modules that zygotes import before they fork workers.
    pub preload: Vec<String>,
    /// Threads of BLAS and OpenMP in a worker, unless the environment sets them.
    pub threads: u32,
    /// Whether values without a wire form of their own may travel as pickles.
    pub allow_pickle: bool,
    /// Largest pickle of one changed attribute that is written back when a session closes, in bytes.
    pub write_back_max_bytes: u64,
}

impl Default for PythonConfig {
    fn default() -> Self {
        Self {
            runtime: None,
            executable: None,
            environment: BTreeMap::new(),
            start_variables: vec!["CUDA_VISIBLE_DEVICES".to_owned()],
            modules: BTreeMap::new(),
            preload: Vec::new(),
            threads: 1,
            allow_pickle: true,
            write_back_max_bytes: 1 << 20,
        }
    }
}

/// Limits of node calls: time, buffering and waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallsConfig {
    /// Longest time between two outputs of a node that has no `timeout_ms`; `None` is no limit.
    pub timeout: Option<Duration>,
    /// What happens when nodes fail that do not say it themselves.
    pub failing: FailingDefaults,
    /// Outputs of one stage that may be in flight before the stage has to wait.
    pub window: u32,
    /// Items that may wait on one edge of the graph.
    pub queue: usize,
    /// How long a call waits awake before it sleeps; zero: it sleeps at once.
    pub spin: Duration,
}

impl Default for CallsConfig {
    fn default() -> Self {
        let spin = Duration::from_millis(1);
        Self { timeout: None, failing: FailingDefaults::default(), window: 64, queue: 64, spin }
    }
}

/// Limits on what a worker may use and send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// What each worker may use.
    pub worker: Limits,
    /// Largest message, arrays included, in bytes.
    pub max_frame_bytes: u64,
    /// Deepest nesting of containers in a value.
    pub max_depth: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let protocol = ipc_protocol::Limits::default();
        Self {
            worker: Limits::default(),
            max_frame_bytes: protocol.max_frame_bytes,
            max_depth: protocol.max_depth,
        }
    }
}

impl LimitsConfig {
    /// The limits in the form that the codec checks.
    #[must_use]
    pub fn to_protocol(&self) -> ipc_protocol::Limits {
        ipc_protocol::Limits {
            max_frame_bytes: self.max_frame_bytes,
            max_depth: self.max_depth,
            ..ipc_protocol::Limits::default()
        }
    }
}

/// What happens to text that nodes print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputConfig {
    /// Whether what nodes write to stdout and stderr is shown on the caller's stderr, line by line
    /// with the node's name in front.
    pub forward_output: bool,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { forward_output: true }
    }
}

impl Config {
    /// The bounds of the pool with an engine's workers.
    #[must_use]
    pub fn pool(&self, engine: Engine) -> &PoolBounds {
        if engine == Engine::RustPython { &self.rustpython.pool } else { &self.workers.pool }
    }

    /// Reads a configuration from TOML text.
    ///
    /// # Errors
    /// One [`ConfigError`] with every problem found, each with its place in the text.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        read::config(text, Origin::Text)
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// As [`Config::from_toml`], or when the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        read_file(path, Origin::File(path.to_owned()))
    }

    /// The configuration in force: `explicit` if given, else the file that `REMOTEMEDIA_CONFIG`
    /// names, else the defaults.
    ///
    /// # Errors
    /// As [`Config::from_file`].
    pub fn load(explicit: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(path) = explicit {
            return Self::from_file(path);
        }
        match env::config_file() {
            Some(path) => read_file(&path, Origin::EnvironmentFile(path.clone())),
            None => Ok(Self::default()),
        }
    }
}

fn read_file(path: &Path, origin: Origin) -> Result<Config, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => read::config(&text, origin),
        Err(cause) => Err(ConfigError::unreadable(origin, &cause)),
    }
}
