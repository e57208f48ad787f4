//! Why a worker did not come up, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;

/// Why a worker did not come up.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// The interpreter could not be executed.
    #[error(
        "cannot start a Python worker: {} could not be executed ({reason}); check {setting} in the \
         configuration", interpreter.display()
    )]
    Spawn {
        /// The interpreter.
        interpreter: PathBuf,
        /// The setting that names it.
        setting: &'static str,
        /// The operating system's reason.
        reason: String,
    },
    /// The operating system refused what every worker needs, whatever its interpreter.
    #[error("cannot start a worker: {action} failed ({reason}){remedy}")]
    System {
        /// What was being done.
        action: &'static str,
        /// The operating system's reason.
        reason: String,
        /// What to do, as a further clause; empty where that is unknown.
        remedy: &'static str,
    },
    /// There is no interpreter.
    #[error(
        "cannot start a Python worker: no Python interpreter is known; set [python] executable \
         in the configuration, pass --python, or activate a virtual environment"
    )]
    NoInterpreter,
    /// There is no RustPython.
    #[error(
        "cannot start a RustPython worker: remotemedia-rustpython is not installed; install it \
         with 'pip install ./worker-shim' in RemoteMedia's sources, name it in [rustpython] \
         executable or REMOTEMEDIA_RUSTPYTHON, or choose cpython as the runtime. Looked for: {}",
        shown(.tried)
    )]
    NoRustPython {
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// The interpreter runs but lacks the package.
    #[error(
        "cannot start a Python worker: {} has no usable 'remotemedia' package; install it there \
         with '{} -m pip install ./python' in RemoteMedia's sources{}",
        interpreter.display(), interpreter.display(), quoted(.stderr)
    )]
    NoPackage {
        /// The interpreter.
        interpreter: PathBuf,
        /// What it wrote.
        stderr: String,
    },
    /// The worker ended, or said something unexpected, before it was ready.
    #[error(
        "the Python worker {} did not come up: {reason}{}", interpreter.display(), quoted(.stderr)
    )]
    Handshake {
        /// The interpreter.
        interpreter: PathBuf,
        /// What happened.
        reason: String,
        /// What it wrote.
        stderr: String,
    },
    /// The worker was not ready in time.
    #[error(
        "the Python worker {} was not ready within {timeout:?}; raise [workers] start_timeout if \
         its imports take that long{}", interpreter.display(), quoted(.stderr)
    )]
    TooSlow {
        /// The interpreter.
        interpreter: PathBuf,
        /// The time it had.
        timeout: Duration,
        /// What it wrote.
        stderr: String,
    },
    /// The runtime is shut down.
    #[error("the runtime is shut down; make a new one")]
    ShutDown,
}

impl StartError {
    /// The operating system refused what every worker needs.
    #[must_use]
    pub fn system(action: &'static str, source: &io::Error) -> Self {
        Self::System { action, reason: source.to_string(), remedy: remedy(source) }
    }
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// What a worker wrote, below the error.
fn quoted(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("\n{stderr}") }
}

/// What helps where the system has run out of something; empty for all other errors.
pub(crate) fn remedy(source: &io::Error) -> &'static str {
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE | Errno::ENFILE) => {
            "; raise the limit on open files (ulimit -n), or lower [workers] max"
        }
        Some(Errno::EAGAIN) => {
            "; raise the limit on processes (ulimit -u, or that of the container), or lower \
             [workers] max"
        }
        Some(Errno::ENOMEM) => "; free memory or raise its limit, or lower [workers] max",
        _ => "",
    }
}
