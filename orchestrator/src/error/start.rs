//! Why a worker failed to start, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;

/// Why a worker failed to start.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// The interpreter could not be executed.
    #[error(
        "cannot start a Python worker: {} could not be executed ({reason}); check {setting} in the \
         configuration", interpreter.display()
    )]
    Spawn {
        /// Path of the interpreter.
        interpreter: PathBuf,
        /// The configuration key that names it.
        setting: String,
        /// The operating system's reason.
        reason: String,
    },
    /// The operating system refused something that every worker needs, whatever its interpreter.
    #[error("cannot start a worker: {action} failed ({reason}){remedy}")]
    System {
        /// The action that failed.
        action: &'static str,
        /// The operating system's reason.
        reason: String,
        /// What to do, as a further clause; empty where that is unknown.
        remedy: &'static str,
    },
    /// All workers are in use, and the session does not wait.
    #[error("all workers are in use")]
    Overloaded,
    /// The pool takes no new sessions, as its operator wants.
    #[error(
        "pool '{pool}' takes no new sessions, because its operator drains it; try again later, or have \
         it resumed (`Runtime.resume`, `remotemedia pool resume {pool}`)"
    )]
    Drained {
        /// Name of the pool.
        pool: String,
    },
    /// No Python interpreter was found.
    #[error(
        "cannot start a Python worker: no Python interpreter is known; set [python] interpreter \
         in the configuration, pass --python, or activate a virtual environment"
    )]
    NoInterpreter,
    /// The folder in which a pool's nodes are to run cannot be entered.
    #[error(
        "the nodes of pool '{pool}' cannot run in {}: {}; make it, or change [pools.{pool}] \
         working_directory", path.display(),
        if *.is_there { "it is no folder that can be entered" } else { "there is no such folder" }
    )]
    NoDirectory {
        /// Name of the pool.
        pool: String,
        /// The folder that the configuration names.
        path: PathBuf,
        /// Whether there is something with this path.
        is_there: bool,
    },
    /// RustPython's program was not found.
    #[error(
        "cannot start a RustPython worker: remotemedia-rustpython is not installed; install it \
         with 'pip install ./worker-shim' in RemoteMedia's sources, name it in [rustpython] \
         executable or REMOTEMEDIA_RUSTPYTHON, or choose cpython as the runtime. Looked for: {}",
        shown(.tried)
    )]
    NoRustPython {
        /// The paths that were tried.
        tried: Vec<PathBuf>,
    },
    /// The interpreter runs but lacks the package.
    #[error(
        "cannot start a Python worker: {} has no usable 'remotemedia' package; install it there \
         with '{} -m pip install ./python' in RemoteMedia's sources{}",
        interpreter.display(), interpreter.display(), quoted(.stderr)
    )]
    NoPackage {
        /// Path of the interpreter.
        interpreter: PathBuf,
        /// The last lines that it wrote to stderr.
        stderr: String,
    },
    /// The worker ended, or sent an unexpected message, before its handshake was complete.
    #[error(
        "the Python worker {} failed to start: {reason}{}", interpreter.display(), quoted(.stderr)
    )]
    Handshake {
        /// Path of the interpreter.
        interpreter: PathBuf,
        /// Why it failed.
        reason: String,
        /// The last lines that it wrote to stderr.
        stderr: String,
    },
    /// The worker did not complete its handshake in time.
    #[error(
        "the Python worker {} was not ready within {timeout:?}; raise [workers] start_timeout if \
         its imports take that long{}", interpreter.display(), quoted(.stderr)
    )]
    TooSlow {
        /// Path of the interpreter.
        interpreter: PathBuf,
        /// The time limit.
        timeout: Duration,
        /// The last lines that it wrote to stderr.
        stderr: String,
    },
    /// The runtime is shut down.
    #[error("cannot start a worker: the runtime was shut down; open the session again")]
    ShutDown,
}

impl StartError {
    /// The error for an action that every worker needs and that the operating system refused.
    #[must_use]
    pub fn system(action: &'static str, source: &io::Error) -> Self {
        Self::System { action, reason: source.to_string(), remedy: remedy(source) }
    }
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// A worker's last lines of stderr, on lines of their own behind the error.
fn quoted(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("\n{stderr}") }
}

/// What to do when the system has run out of something, as a clause; empty for all other errors.
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
