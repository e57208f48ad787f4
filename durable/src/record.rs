//! The rows of the database and the changes that the engine makes to them. Pure.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cron::Schedule;
use crate::failure::Failure;
use crate::value::Kept;

/// The name of a run.
pub type RunId = Arc<str>;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It is not at its end.
    Running,
    /// All its tasks have ended, and none has failed.
    Completed,
    /// A task has failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It returned.
    Completed,
    /// All its attempts failed.
    Failed,
    /// It was not to run: its condition was false, or a task before it has not completed.
    Skipped,
    /// Its run was cancelled.
    Cancelled,
}

/// Where a step stands, as the database has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It waits for its time or for an event, or for another attempt.
    Waiting,
    /// It was started, and must not be started twice.
    Started,
    /// It has ended.
    Ended(Outcome),
}

/// A text in the database, and back.
macro_rules! words {
    ($type:ty { $($value:pat => $make:expr, $word:literal;)* }) => {
        impl $type {
            /// The word for it.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $($value => $word,)* }
            }

            /// What a word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($make),)* _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.word())
            }
        }
    };
}

words!(RunStatus {
    Self::Running => Self::Running, "running";
    Self::Completed => Self::Completed, "completed";
    Self::Failed => Self::Failed, "failed";
    Self::Cancelled => Self::Cancelled, "cancelled";
});

words!(StepStatus {
    Self::Waiting => Self::Waiting, "waiting";
    Self::Started => Self::Started, "started";
    Self::Ended(Outcome::Completed) => Self::Ended(Outcome::Completed), "completed";
    Self::Ended(Outcome::Failed) => Self::Ended(Outcome::Failed), "failed";
    Self::Ended(Outcome::Skipped) => Self::Ended(Outcome::Skipped), "skipped";
    Self::Ended(Outcome::Cancelled) => Self::Ended(Outcome::Cancelled), "cancelled";
});

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its name.
    pub id: RunId,
    /// Name of its workflow.
    pub workflow: String,
    /// Version of its workflow.
    pub version: String,
    /// Digest of its workflow.
    pub hash: String,
    /// Where it stands.
    pub status: RunStatus,
    /// What it was submitted with.
    pub input: Kept,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The run that it was forked from.
    pub parent: Option<RunId>,
    /// When it was submitted, in milliseconds since 1970 as all times.
    pub created_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
}

/// One step of a run: a task (`name`), an element of a mapped one (`name[2]`), a step inside a task
/// (`name/inner`).
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// Name of the step.
    pub name: String,
    /// Where it stands.
    pub status: StepStatus,
    /// Number of attempts that have begun.
    pub attempts: u32,
    /// How many of them raised.
    pub raised: u32,
    /// In how many of them the process died.
    pub crashes: u32,
    /// What it returned.
    pub output: Option<Kept>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// When it is due again.
    pub due_ms: Option<i64>,
    /// The event that it waits for.
    pub event: Option<String>,
    /// When its first attempt began.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
}

impl StepRow {
    /// A step that has not begun.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self {
            name,
            status: StepStatus::Waiting,
            attempts: 0,
            raised: 0,
            crashes: 0,
            output: None,
            failure: None,
            due_ms: None,
            event: None,
            started_ms: None,
            ended_ms: None,
        }
    }
}

/// One attempt of a step, for people.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AttemptRow {
    /// Name of the step.
    pub step: String,
    /// Its number, from 1 on.
    pub number: u32,
    /// The worker, if one has begun it.
    pub pid: Option<u32>,
    /// The signal that ended the worker.
    pub signal: Option<String>,
    /// How it ended: `completed`, `suspended`, `cancelled`, or the kind of the failure.
    pub result: String,
    /// The failure in one line.
    pub error: Option<String>,
    /// The last lines that it wrote to stderr or logged.
    pub tail: Option<String>,
    /// When it began.
    pub started_ms: i64,
    /// When it ended.
    pub ended_ms: i64,
}

/// A change to the database. The changes of one write are made together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Keeps a graph.
    Workflow {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Its digest.
        hash: String,
        /// The graph, as JSON.
        graph: String,
    },
    /// Adds a run, unless there is one with this name.
    NewRun(Box<RunRow>),
    /// Removes a run that was refused, if an earlier write whose answer was lost has added it.
    ForgetRun {
        /// The run.
        id: RunId,
        /// When it was submitted: another one of this name stays.
        created_ms: i64,
    },
    /// Changes status, failure and end of a run.
    Run {
        /// The run.
        id: RunId,
        /// The status.
        status: RunStatus,
        /// The failure.
        failure: Option<Failure>,
        /// The end.
        ended_ms: Option<i64>,
    },
    /// Gives a run another graph, and forgets its steps.
    Restart {
        /// The run.
        id: RunId,
        /// Digest of the graph.
        hash: String,
    },
    /// Adds or replaces a step.
    Step(RunId, Box<StepRow>),
    /// Forgets a step with the steps inside it.
    ForgetStep(RunId, String),
    /// Adds an attempt.
    Attempt(RunId, Box<AttemptRow>),
    /// Keeps an event, unless the run has one with this name.
    Event {
        /// The run.
        run: RunId,
        /// Name of the event.
        name: String,
        /// What came with it.
        payload: Kept,
    },
    /// Adds or replaces a schedule.
    Schedule(Box<Schedule>),
    /// Removes a schedule.
    ForgetSchedule(String),
}

/// A run as it is found in the database.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRun {
    /// The run.
    pub run: RunRow,
    /// The graph that it began with, as JSON.
    pub graph: String,
    /// Its steps.
    pub steps: Vec<StepRow>,
    /// The events that it has got.
    pub events: Vec<(String, Kept)>,
}
