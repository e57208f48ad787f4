//! Workers: one process each, hosting one interpreter. This module owns their life from spawn to
//! death; what they compute is the session's business.

pub mod blackbox;
pub mod exit;
pub mod link;
pub mod memory;
pub mod pool;
pub mod process;
pub mod state;
pub mod supervisor;
pub mod tail;
pub mod waker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use link::Link;
use pool::PoolId;
use process::Process;

use crate::plan::Runtime;

/// Number of a worker, unique in its runtime.
pub type WorkerId = u64;

/// What makes two workers interchangeable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkerKey {
    /// What the interpreter is: its workers say so when they report for duty.
    pub runtime: Runtime,
    /// The interpreter; never resolved, so that a virtual environment's link stays one.
    pub interpreter: PathBuf,
    /// The complete environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The caller's module search path.
    pub sys_path: Vec<String>,
    /// Working directory; the orchestrator's own when absent.
    pub working_directory: Option<String>,
}

impl WorkerKey {
    /// The pool that its workers belong to: each runtime has one.
    #[must_use]
    pub fn pool(&self) -> PoolId {
        usize::from(self.runtime == Runtime::RustPython)
    }

    /// The setting that names the program.
    #[must_use]
    pub fn executable_setting(&self) -> &'static str {
        if self.runtime == Runtime::RustPython {
            "[rustpython] executable"
        } else {
            "[python] executable"
        }
    }
}

/// The interpreter in a worker, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Interpreter {
    /// `cpython` or `rustpython`.
    pub implementation: String,
    /// Its version, for instance `3.11.7`.
    pub version: String,
}

impl Interpreter {
    /// The part of the version that decides which code it runs, such as `3.11`.
    #[must_use]
    pub fn minor_version(&self) -> &str {
        let second_dot = self.version.match_indices('.').nth(1);
        &self.version[..second_dot.map_or(self.version.len(), |(at, _)| at)]
    }
}

/// A worker that is ready for work, owned by the pool or by one session.
#[derive(Debug)]
pub struct Worker {
    /// Its number.
    pub id: WorkerId,
    /// The process behind it.
    pub process: Arc<Process>,
    /// The interpreter in it.
    pub interpreter: Interpreter,
    /// The protocol version that it speaks.
    pub protocol: u32,
    /// The connection to it.
    pub link: Link,
}
