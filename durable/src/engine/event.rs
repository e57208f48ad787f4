//! What the engine hears and what it wants done. Pure.

use std::sync::Arc;

use crate::cron::{Cron, Schedule};
use crate::failure::Failure;
use crate::record::{Change, FoundRun, RunId, RunRow};
use crate::value::Kept;
use crate::workflow::{Layout, Workflow};

/// Number of an attempt at work.
pub type JobId = u64;
/// Number of a caller that waits for an answer.
pub type Ticket = u64;

/// A workflow with its layout, shared by its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// The workflow.
    pub workflow: Workflow,
    /// The order of its tasks.
    pub layout: Layout,
    /// The same as JSON, as it is kept.
    pub json: String,
}

/// What the engine hears.
#[derive(Debug, Clone)]
pub enum Event {
    /// A program has the code of a workflow.
    Register(Arc<Graph>),
    /// Runs to begin; those that exist already go on as they are.
    Submit(Ticket, Vec<NewRun>),
    /// A run is to stop.
    Cancel(Ticket, RunId),
    /// Something that a run may wait for has happened.
    Signal(Ticket, RunId, String, Kept),
    /// A run that has ended unsuccessfully, and is to go on. With a step: that one and all that
    /// follow from it run again.
    Resume(Ticket, Box<FoundRun>, Option<String>),
    /// A new run that takes over what another one has done before a step.
    Fork(Ticket, Box<Fork>),
    /// A schedule to add or to replace.
    Schedule(Ticket, Box<Schedule>, Cron),
    /// A schedule to remove.
    Unschedule(Ticket, String),
    /// Whether a run waits for its code: the answer names it if it does.
    WaitsForCode(Ticket, RunId),
    /// A task keeps the result of an inner step, and goes on when it has the answer.
    Noted(Ticket, JobId, String, Kept),
    /// An attempt is over.
    Done(JobId, Box<Report>),
    /// The last write is durable. Holds the names of new runs that existed already and have ended.
    Stored(Vec<RunId>),
    /// The last write has failed as a whole.
    StoreFailed(StoreTrouble),
    /// Time has passed.
    Tick,
}

/// A write that has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreTrouble {
    /// Why.
    pub reason: String,
    /// Whether no later write can succeed.
    pub is_final: bool,
}

/// A run to begin.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its name.
    pub id: RunId,
    /// Its graph.
    pub graph: Arc<Graph>,
    /// Its input.
    pub input: Kept,
}

/// A run to fork.
#[derive(Debug, Clone)]
pub struct Fork {
    /// Name of the new run.
    pub id: RunId,
    /// The run that it takes over from.
    pub source: FoundRun,
    /// The first step that runs again.
    pub from: String,
    /// Another input.
    pub input: Option<Kept>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The result.
    pub result: AttemptResult,
    /// The worker that ran it, if one did.
    pub pid: Option<u32>,
    /// The signal that ended the worker.
    pub signal: Option<String>,
    /// The last lines that it wrote.
    pub tail: Option<String>,
    /// When it began.
    pub started_ms: i64,
}

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptResult {
    /// The task returned.
    Returned(Kept),
    /// It waits until a time or for an event, without a worker.
    Suspended(Until),
    /// It failed.
    Failed(Failure),
    /// It was stopped, because its run was cancelled.
    Stopped,
}

/// What a task waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// A pause of its own, by its name, and how long it is from now on, in milliseconds.
    Pause(String, u64),
    /// An event, by its name.
    Event(String),
}

/// What the engine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write these changes, together; then `Stored` or `StoreFailed`. One write at a time.
    Write(Arc<Vec<Change>>),
    /// Run a task; then `Done`.
    Start(Box<Job>),
    /// End the attempt; then `Done` as well.
    Stop(JobId),
    /// A caller has its answer.
    Answer(Ticket, Result<Vec<RunId>, Refusal>),
    /// A run is at its end, durably.
    Ended(Box<RunRow>),
    /// Writing fails, and is tried again.
    Trouble(String),
    /// Nothing can be written any more: the engine is over.
    Halt(String),
}

/// Why the engine does not do what a caller wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such run, or it is over.
    #[error("run '{0}' is not at work: it does not exist, or it has ended")]
    NotAtWork(RunId),
    /// The run is at work.
    #[error("run '{0}' is still at work: cancel it first")]
    AtWork(RunId),
    /// The run has no such step.
    #[error("run '{run}' has no step '{step}'")]
    NoStep {
        /// The run.
        run: RunId,
        /// The step.
        step: String,
    },
    /// Its graph cannot be read.
    #[error("the graph of run '{run}' cannot be used: {reason}")]
    Graph {
        /// The run.
        run: RunId,
        /// Why.
        reason: String,
    },
    /// The name is taken.
    #[error("there is a run '{0}' already; choose another id")]
    Taken(RunId),
    /// It could not be written.
    #[error("the database refused it: {0}")]
    Store(String),
}

/// One attempt to run a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// The run.
    pub run: RunId,
    /// Name of the step.
    pub step: String,
    /// Name of the task.
    pub task: String,
    /// Which attempt it is, from 1 on.
    pub attempt: u32,
    /// `module:name` of the function.
    pub function: Option<String>,
    /// Digest of the registered workflow whose code is to be used, if there is one.
    pub code: Option<String>,
    /// Arguments by the names of the parameters.
    pub arguments: Vec<(String, Argument)>,
    /// Results of inner steps, for a task that has them.
    pub inner: Vec<(String, Kept)>,
    /// Events that the run has got, for a task that waits for some.
    pub events: Vec<(String, Kept)>,
    /// Longest time, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Limits of the worker.
    pub limits: serde_json::Map<String, serde_json::Value>,
    /// Whether it must run in a process that has run no task before.
    pub wants_fresh: bool,
}

/// Where an argument's value comes from. The shell opens it.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// It is this value.
    Whole(Kept),
    /// It is the value of a key of this dict; left out if there is none.
    Key(Kept, String),
    /// It is the list of these values.
    List(Vec<Kept>),
    /// It is the dict of all these, later keys replacing earlier ones.
    Context(Vec<Kept>),
    /// It is that dict, with what a task can ask of its run.
    Handle(Vec<Kept>),
}
