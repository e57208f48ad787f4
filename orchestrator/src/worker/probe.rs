//! Finds out what an interpreter lacks whose worker exited before its handshake. An interpreter
//! that does not know `-P`, or finds no package, runs no code of ours that could report it. So a
//! short program is run on it, which reports by its exit code.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::forks;
use super::process::{await_readable, usable_directory};
use super::{Start, WorkerKey};

/// The program, for every version of Python. Exit codes: 11, Python is too old; 12, no package.
const PROGRAM: &str = "\
import sys
if sys.version_info < (3, 11):
    sys.exit(11)
from importlib.util import find_spec
sys.exit(0 if find_spec('remotemedia') and find_spec('remotemedia._native') else 12)
";

/// What an interpreter lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// The interpreter is older than Python 3.11.
    Version,
    /// The interpreter finds no `remotemedia` package, or one without its native part.
    Package,
}

/// Runs the program on the interpreter of `key`, with a worker's environment and directory. `None`
/// when the interpreter lacks nothing or does not answer in time.
pub async fn probe(key: &WorkerKey, start: &Start, timeout: Duration) -> Option<Lack> {
    let mut command = Command::new(&key.interpreter);
    command
        .args(["-c", PROGRAM])
        .env_clear()
        .envs(start.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    if let Some(directory) = usable_directory(start.working_directory.as_deref()) {
        command.current_dir(directory);
    }
    let started = {
        let _no_fork = forks::none_meanwhile();
        command.spawn()
    };
    let mut child = started.ok()?;
    if let Ok(pidfd) = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
        && let Ok(pidfd) = await_readable(Arc::new(pidfd))
    {
        let _in_time = tokio::time::timeout(timeout, pidfd.readable()).await;
    }
    let _ended = child.kill();
    match child.wait().ok()?.code()? {
        11 => Some(Lack::Version),
        12 => Some(Lack::Package),
        _ => None,
    }
}
