//! Workers: one process each, hosting one interpreter. This module owns their life from spawn to
//! death; sessions decide what they compute.

pub mod blackbox;
pub mod exit;
pub mod forks;
mod kinds;
pub mod link;
pub mod memory;
pub mod pool;
pub mod probe;
pub mod process;
pub mod served;
pub mod state;
pub mod supervisor;
pub mod tail;
pub mod usage;
pub mod waker;
pub mod zygote;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use ipc_protocol::patience::{Patience, Turn};
use ipc_protocol::version::REPORTS_SINCE;
use ipc_protocol::{FromWorker, ToWorker};
use link::{Link, LinkError, Sent};
use process::Process;
pub(crate) use process::usable_directory;
use served::Served;

use crate::placement::{Engine, PoolId};

/// Number of a worker, unique in its runtime.
pub type WorkerId = u64;

/// A kind of workers: those with the same interpreter and the same settings that take effect only
/// when a process starts. Everything else of the caller's process is sent with each session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkerKey {
    /// The pool that its workers belong to.
    pub pool: PoolId,
    /// The engine. Workers name it in their handshake.
    pub runtime: Engine,
    /// Path of the interpreter. Symbolic links in it are kept: a virtual environment's interpreter
    /// usually is one.
    pub interpreter: PathBuf,
    /// The configuration key for that path, for messages.
    pub setting: String,
    /// The interpreter's options, such as `-O`.
    pub options: Vec<OsString>,
    /// The environment variables that take effect only when a process starts, sorted by name.
    pub start_variables: Vec<(OsString, OsString)>,
    /// The user and group that this process has when the session opens, which it may change.
    pub user: (u32, u32),
    /// Set when only sessions with this search path and working directory (see [`Wanted::place`])
    /// use the workers, because other workers have loaded modules that lie elsewhere for such
    /// sessions.
    pub apart: Option<u64>,
}

/// What a worker process is started with that is not part of its kind: environment and directory, since each
/// session later sends its own, and what its pool says about its processors.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Start {
    /// The complete environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Working directory; the orchestrator's own when absent.
    pub working_directory: Option<PathBuf>,
    /// The processors that it may run on; empty: those of the orchestrator.
    pub processors: Vec<u32>,
    /// What is added to its niceness.
    pub nice: i32,
}

/// Workers of one kind that a session asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The kind of the workers.
    pub key: WorkerKey,
    /// The environment and directory for new workers.
    pub start: Arc<Start>,
    /// Digest of the session's module search path and working directory.
    pub place: u64,
    /// Number of workers.
    pub count: usize,
}

/// Name and version of the worker's interpreter, as its handshake reported them.
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
    /// Number of the worker.
    pub id: WorkerId,
    /// Its process.
    pub process: Arc<Process>,
    /// Its interpreter.
    pub interpreter: Interpreter,
    /// The protocol version that it speaks.
    pub protocol: u32,
    /// The connection to it.
    pub link: Link,
    /// Decides whether to busy-wait for its answers.
    pub patience: Patience,
    /// The environment and directory that its process was started with.
    pub start: Arc<Start>,
    /// Whether only sessions with one search path use it (see [`WorkerKey::apart`]).
    pub is_apart: bool,
    /// What it has served so far.
    pub served: Served,
}

impl Worker {
    /// Sends a message. A request also reports how long it has been since the worker's last answer.
    /// `holder` is the id of the node that gets the message's payloads.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn send(
        &mut self,
        mut message: ToWorker,
        holder: Option<&Arc<str>>,
    ) -> Result<Sent, LinkError> {
        let turn = match &message {
            ToWorker::Open(_) => Some(Turn::Open),
            ToWorker::Close => Some(Turn::Close),
            _ => None,
        };
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
        if let Some(turn) = turn {
            self.patience.ask_turn(Instant::now(), turn);
        }
        Ok(sent)
    }

    /// Updates the prediction of how long answers take, from a message of the worker.
    pub fn heard(&mut self, message: &FromWorker) {
        let report = match message {
            FromWorker::Output(output) if output.worked.is_absent() => return,
            FromWorker::Output(output) => output.worked,
            FromWorker::Done(done) => done.worked,
            FromWorker::Failed(failed) => failed.worked,
            FromWorker::Opened(_) | FromWorker::Closed(_) => {
                return self.patience.noticed(Instant::now());
            }
            _ => return,
        };
        let now = Instant::now();
        self.patience.answered(now, report);
        if matches!(message, FromWorker::Output(_)) {
            self.patience.ask(now, 0);
        }
    }
}
