//! Why an attempt failed, as data: what runs keep, and what exceptions are made of.

use serde::{Deserialize, Serialize};

/// The failure of an attempt, a step or a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", self.told())]
pub struct Failure {
    /// What kind it is.
    pub kind: FailureKind,
    /// Name of the task; empty for a failure of the run as a whole.
    #[serde(default)]
    pub task: String,
    /// Qualified name of the exception's class, bare for builtins; or the name of a signal.
    #[serde(default)]
    pub type_name: String,
    /// That class and its bases.
    #[serde(default)]
    pub classes: Vec<String>,
    /// The exception's message.
    #[serde(default)]
    pub message: String,
    /// The traceback in the worker, or its stacks at the time of death.
    #[serde(default)]
    pub traceback: String,
}

/// What kinds of failure there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The task raised an exception.
    Raised,
    /// Its process died.
    Crashed,
    /// It took longer than its time limit, and was stopped.
    TimedOut,
    /// Its process used more than its limits allow, and was killed.
    LimitExceeded,
    /// What it returned cannot be kept.
    NotKept,
    /// It was started, its end is unknown, and it must not be started twice.
    Uncertain,
    /// Its function could not be called.
    NotStarted,
    /// No worker could be started for it.
    NoWorker,
    /// The run took longer than its time limit.
    RunTimedOut,
}

impl FailureKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Crashed => "crashed",
            Self::TimedOut => "timed_out",
            Self::LimitExceeded => "limit_exceeded",
            Self::NotKept => "not_kept",
            Self::Uncertain => "uncertain",
            Self::NotStarted => "not_started",
            Self::NoWorker => "no_worker",
            Self::RunTimedOut => "run_timed_out",
        }
    }
}

impl Failure {
    /// A failure without an exception.
    #[must_use]
    pub fn new(kind: FailureKind, message: String) -> Self {
        Self {
            kind,
            task: String::new(),
            type_name: String::new(),
            classes: Vec::new(),
            message,
            traceback: String::new(),
        }
    }

    /// A task took longer than its time limit, in milliseconds.
    #[must_use]
    pub fn timed_out(limit: u128) -> Self {
        let message = format!("it took longer than its time limit of {limit} ms, and was stopped");
        let classes = ["TimeoutError", "OSError", "Exception", "BaseException"];
        Self {
            type_name: classes[0].to_owned(),
            classes: classes.map(str::to_owned).to_vec(),
            ..Self::new(FailureKind::TimedOut, message)
        }
    }

    fn told(&self) -> String {
        let what = match self.type_name.as_str() {
            "" => self.message.clone(),
            name if self.message.is_empty() => name.to_owned(),
            name => format!("{name}: {}", self.message),
        };
        match self.task.as_str() {
            "" => what,
            task => format!("task '{task}': {what}"),
        }
    }
}
