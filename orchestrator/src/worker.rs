//! Workers: one process each, hosting one interpreter. This module owns their life from spawn to
//! death; sessions decide what they compute.

pub mod blackbox;
pub mod exit;
mod kinds;
pub mod link;
pub mod memory;
pub mod pool;
pub mod probe;
pub mod process;
pub mod state;
pub mod supervisor;
pub mod tail;
pub mod waker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use ipc_protocol::patience::Patience;
use ipc_protocol::version::REPORTS_SINCE;
use ipc_protocol::{FromWorker, ToWorker};
use link::{Link, LinkError, Sent};
use pool::PoolId;
use process::Process;

use crate::placement::Engine;

/// Number of a worker, unique in its runtime.
pub type WorkerId = u64;

/// What makes two workers the same: the interpreter, and what counts only when its process starts.
/// Everything else of the caller's process comes with each session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkerKey {
    /// What the interpreter is: its workers name it in their handshake.
    pub runtime: Engine,
    /// The interpreter; never resolved, so that a virtual environment's link stays one.
    pub interpreter: PathBuf,
    /// The interpreter's options, such as `-O`.
    pub options: Vec<OsString>,
    /// The environment variables that count when a process starts, by name.
    pub start_variables: Vec<(OsString, OsString)>,
    /// Set when workers with this key hold modules that lie elsewhere for sessions with this path
    /// and working directory (see [`Wanted::place`]): such sessions have workers of their own.
    pub apart: Option<u64>,
}

/// What a process finds at its start. Sessions bring their own later, so it makes no worker different.
#[derive(Debug, PartialEq, Eq)]
pub struct Start {
    /// The complete environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Working directory; the orchestrator's own when absent.
    pub working_directory: Option<PathBuf>,
}

/// Workers of one kind that a session asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The kind.
    pub key: WorkerKey,
    /// What new ones find at their start.
    pub start: Arc<Start>,
    /// Digest of the session's module search path and working directory.
    pub place: u64,
    /// How many.
    pub count: usize,
}

impl WorkerKey {
    /// The pool that its workers belong to: each runtime has one.
    #[must_use]
    pub fn pool(&self) -> PoolId {
        usize::from(self.runtime == Engine::RustPython)
    }

    /// The setting that names the program.
    #[must_use]
    pub fn executable_setting(&self) -> &'static str {
        if self.runtime == Engine::RustPython {
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
    /// How its answers are waited for.
    pub patience: Patience,
    /// What its process found at its start.
    pub start: Arc<Start>,
    /// It is for sessions of one path (see [`WorkerKey::apart`]).
    pub is_apart: bool,
}

impl Worker {
    /// Sends a message, a request with how long the caller took for it. `holder` is the node that gets
    /// the message's payloads.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn send(
        &mut self,
        mut message: ToWorker,
        holder: Option<&Arc<str>>,
    ) -> Result<Sent, LinkError> {
        let took = match &mut message {
            ToWorker::Item(item) => Some(&mut item.step.took),
            ToWorker::Start(step) | ToWorker::Flush(step) => Some(&mut step.took),
            ToWorker::Credit(credit) => Some(&mut credit.took),
            _ => None,
        };
        let is_request = took.is_some();
        if let Some(took) = took.filter(|_| self.protocol >= REPORTS_SINCE) {
            *took = self.patience.report(Instant::now());
        }
        let sent = self.link.send(message, holder)?;
        if is_request {
            self.patience.ask(Instant::now(), sent.traffic.shared_bytes);
        }
        Ok(sent)
    }

    /// Learns from what has come.
    pub fn heard(&mut self, message: &FromWorker) {
        let report = match message {
            FromWorker::Output(output) if output.worked.is_absent() => return,
            FromWorker::Output(output) => output.worked,
            FromWorker::Done(done) => done.worked,
            FromWorker::Failed(failed) => failed.worked,
            FromWorker::Opened(_) => return self.patience.noticed(Instant::now()),
            _ => return,
        };
        let now = Instant::now();
        self.patience.answered(now, report);
        if matches!(message, FromWorker::Output(_)) {
            self.patience.ask(now, 0);
        }
    }
}
