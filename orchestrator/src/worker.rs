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
use process::Process;

/// Number of a worker, unique in its runtime.
pub type WorkerId = u64;

/// What makes two workers interchangeable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkerKey {
    /// The interpreter; never resolved, so that a virtual environment's link stays one.
    pub interpreter: PathBuf,
    /// The complete environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The caller's module search path.
    pub sys_path: Vec<String>,
    /// Working directory; the orchestrator's own when absent.
    pub working_directory: Option<String>,
}

/// A worker that is ready for work, owned by the pool or by one session.
#[derive(Debug)]
pub struct Worker {
    /// Its number.
    pub id: WorkerId,
    /// The process behind it.
    pub process: Arc<Process>,
    /// The connection to it.
    pub link: Link,
}
