//! A part of a step: the unit that is run, repeated and kept. Pure.

use super::event::{AttemptResult, JobId, Report, Until};
use crate::failure::{Failure, FailureKind};
use crate::record::{AttemptRow, Outcome, StepRow, StepStatus};
use crate::value::Kept;
use crate::workflow::Task;

/// Where a part stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// It waits for a worker.
    Ready,
    /// Its intent is being written: it must not be started twice.
    Claiming,
    /// It runs.
    Running(JobId),
    /// It waits for a time.
    Due(i64),
    /// It waits for an event.
    Event(String),
    /// It has ended.
    Ended(Outcome),
}

impl Phase {
    pub(super) fn outcome(&self) -> Option<Outcome> {
        if let Self::Ended(outcome) = self { Some(*outcome) } else { None }
    }
}

/// How often a part is tried again for which no worker could be started, at least, and the first pause
/// before that; the n-th is n times as long.
const NO_WORKER_RETRIES: u32 = 3;
const NO_WORKER_PAUSE_MS: u64 = 50;

/// A part with its row.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) row: StepRow,
    pub(super) phase: Phase,
    /// Results of inner steps, in the order of their ends.
    pub(super) inner: Vec<(String, Kept)>,
    /// The pause of its own that it waits for.
    pub(super) pause: Option<String>,
    /// Whether the last attempt ended with the death of its process.
    pub(super) wants_fresh: bool,
    /// When the attempt that runs is to be over.
    pub(super) over_ms: Option<i64>,
    /// Whether that has passed.
    pub(super) is_overdue: bool,
}

impl Part {
    /// A part as its rows say.
    pub(super) fn restored(
        mut row: StepRow,
        inner_rows: Vec<StepRow>,
        events: &[(String, Kept)],
    ) -> Self {
        let mut inner = Vec::new();
        let mut pause = None;
        for step in inner_rows {
            let name = step.name[row.name.len() + 1..].to_owned();
            match step.output {
                Some(output) => inner.push((name, output)),
                None => pause = Some(name),
            }
        }
        let phase = match (row.status, row.due_ms, &row.event) {
            (StepStatus::Ended(outcome), ..) => Phase::Ended(outcome),
            (StepStatus::Started, ..) => {
                let message = "it was started before the engine ended, and is never started twice";
                row.failure = Some(Failure::new(FailureKind::Uncertain, message.to_owned()));
                row.status = StepStatus::Ended(Outcome::Failed);
                Phase::Ended(Outcome::Failed)
            }
            (StepStatus::Waiting, Some(due), _) => Phase::Due(due),
            (StepStatus::Waiting, None, Some(event)) if !is_there(events, event) => {
                Phase::Event(event.clone())
            }
            (StepStatus::Waiting, None, _) => Phase::Ready,
        };
        let pause = pause.filter(|_| matches!(phase, Phase::Due(_)));
        Self { row, phase, inner, pause, wants_fresh: false, over_ms: None, is_overdue: false }
    }

    pub(super) fn begin(&mut self, job: JobId, now_ms: i64) {
        self.phase = Phase::Running(job);
        self.row.attempts += 1;
        self.row.started_ms.get_or_insert(now_ms);
        self.row.due_ms = None;
        self.row.event = None;
    }

    /// The row that says that the part has been started, for one that must not be started twice.
    pub(super) fn claimed(&self, now_ms: i64) -> StepRow {
        let mut row = self.row.clone();
        row.status = StepStatus::Started;
        row.attempts += 1;
        row.started_ms.get_or_insert(now_ms);
        row
    }

    /// Keeps the result of an inner step, and returns its row.
    pub(super) fn note(&mut self, name: &str, result: Kept, now_ms: i64) -> StepRow {
        let mut row = StepRow::new(format!("{}/{name}", self.row.name));
        row.status = StepStatus::Ended(Outcome::Completed);
        row.attempts = 1;
        row.output = Some(result.clone());
        row.ended_ms = Some(now_ms);
        self.inner.push((name.to_owned(), result));
        row
    }

    /// The row of the pause that the part has just begun.
    pub(super) fn pause_row(&self, now_ms: i64) -> Option<StepRow> {
        let name = self.pause.as_ref()?;
        let mut row = StepRow::new(format!("{}/{name}", self.row.name));
        row.due_ms = self.row.due_ms;
        row.started_ms = Some(now_ms);
        Some(row)
    }

    pub(super) fn end(&mut self, outcome: Outcome, failure: Option<Failure>, now_ms: i64) {
        self.phase = Phase::Ended(outcome);
        self.row.status = StepStatus::Ended(outcome);
        self.row.failure = failure;
        self.row.due_ms = None;
        self.row.event = None;
        self.row.ended_ms = Some(now_ms);
    }

    /// Decides what follows from the end of an attempt. `seed` decides the jitter of pauses.
    pub(super) fn done(&mut self, report: &Report, task: &Task, seed: u64, now_ms: i64) {
        match &report.result {
            AttemptResult::Returned(output) => {
                self.row.output = Some(output.clone());
                self.end(Outcome::Completed, None, now_ms);
            }
            AttemptResult::Stopped => self.end(Outcome::Cancelled, None, now_ms),
            AttemptResult::Suspended(until) => self.suspend(until, now_ms),
            AttemptResult::Failed(failure) => self.failed(failure, task, seed, now_ms),
        }
    }

    fn suspend(&mut self, until: &Until, now_ms: i64) {
        match until {
            Until::Pause(name, pause_ms) => {
                self.pause = Some(name.clone());
                let due = now_ms.saturating_add_unsigned(*pause_ms);
                self.row.due_ms = Some(due);
                self.phase = Phase::Due(due);
            }
            Until::Event(name) => {
                self.row.event = Some(name.clone());
                self.phase = Phase::Event(name.clone());
            }
        }
        self.row.status = StepStatus::Waiting;
    }

    fn failed(&mut self, failure: &Failure, task: &Task, seed: u64, now_ms: i64) {
        let died = failure.kind == FailureKind::Crashed;
        let has_begun = failure.kind != FailureKind::NoWorker;
        let may_repeat = match failure.kind {
            FailureKind::NoWorker => {
                self.row.crashes += 1;
                self.row.crashes <= task.crash_retries.max(NO_WORKER_RETRIES)
            }
            FailureKind::Crashed => {
                self.row.crashes += 1;
                self.row.crashes <= task.crash_retries
            }
            FailureKind::NotKept | FailureKind::Uncertain | FailureKind::RunTimedOut => false,
            FailureKind::Raised
            | FailureKind::TimedOut
            | FailureKind::LimitExceeded
            | FailureKind::NotStarted => {
                self.row.raised += 1;
                self.row.raised <= task.retry.retries && task.retry.covers(&failure.classes)
            }
        };
        if !may_repeat || (task.once && has_begun) {
            self.end(Outcome::Failed, Some(failure.clone()), now_ms);
            return;
        }
        self.wants_fresh = died;
        self.row.failure = Some(failure.clone());
        self.row.status = StepStatus::Waiting;
        self.phase = Phase::Ready;
        if !died {
            let pause = match has_begun {
                true => task.retry.pause_ms(self.row.raised, seed),
                false => NO_WORKER_PAUSE_MS * u64::from(self.row.crashes),
            };
            let due = now_ms.saturating_add_unsigned(pause);
            self.row.due_ms = Some(due);
            self.phase = Phase::Due(due);
        }
    }
}

/// The row of an attempt that is over.
pub(super) fn attempt_row(row: &StepRow, report: &Report, now_ms: i64) -> AttemptRow {
    let (result, error) = match &report.result {
        AttemptResult::Returned(_) => ("completed", None),
        AttemptResult::Suspended(_) => ("suspended", None),
        AttemptResult::Stopped => ("cancelled", None),
        AttemptResult::Failed(failure) => (failure.kind.word(), Some(failure.to_string())),
    };
    AttemptRow {
        step: row.name.clone(),
        number: row.attempts,
        pid: report.pid,
        signal: report.signal.clone(),
        result: result.to_owned(),
        error: error.map(|text| without_zeros(&text)),
        tail: report.tail.as_deref().map(without_zeros),
        started_ms: report.started_ms,
        ended_ms: now_ms,
    }
}

/// A text that every database can keep: PostgreSQL refuses zero bytes.
fn without_zeros(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn is_there(events: &[(String, Kept)], name: &str) -> bool {
    events.iter().any(|(known, _)| known == name)
}
