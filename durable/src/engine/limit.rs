//! The time limit of a task with inner steps. Its session ends it when it takes too long between two
//! of them; here it is stopped when all of them together do. Pure.

use std::sync::Arc;

use super::Engine;
use super::event::{Action, AttemptResult, Report};
use super::part::{Part, Phase};
use super::run::{Out, PartId, Run};
use crate::failure::Failure;
use crate::workflow::{ParameterSource, Task};

/// How much longer than its limit it may take: a session that ends it can say what it did.
const SLACK_MS: u64 = 100;

fn limit_ms(task: &Task) -> Option<u64> {
    let has_steps = task.takes.iter().any(|taken| taken.source == ParameterSource::Handle);
    task.timeout_ms.filter(|_| has_steps)
}

/// Notes when an attempt that has just begun is to be over.
pub(super) fn limit(engine: &mut Engine, (run, step, part): &PartId, now_ms: i64) {
    let Some(run) = engine.runs.get_mut(run) else { return };
    let limit = limit_ms(&run.graph.workflow.tasks[*step]);
    let over = limit.map(|limit| now_ms.saturating_add_unsigned(limit + SLACK_MS));
    run.steps[*step].parts[*part].over_ms = over;
    if let Some(over) = over {
        engine.timers.insert((over, (Arc::clone(&run.row.id), *step, *part)));
    }
}

/// Stops an attempt whose time is over. While nothing can be written, it may be that it only waits
/// for that.
pub(super) fn end_overdue(
    run: &mut Run,
    (step, part): (usize, usize),
    due: i64,
    out: &mut Out<'_>,
) {
    let Some(running) = run.steps[step].parts.get_mut(part) else { return };
    let Phase::Running(job) = running.phase else { return };
    if running.over_ms != Some(due) {
        return;
    }
    if out.journal.is_in_trouble() {
        let later = due.saturating_add_unsigned(SLACK_MS);
        running.over_ms = Some(later);
        out.timers.insert((later, (Arc::clone(&run.row.id), step, part)));
    } else {
        running.is_overdue = true;
        out.actions.push(Action::Stop(job));
    }
}

impl Part {
    /// What has become of an attempt: one that was stopped because its time was over has failed.
    pub(super) fn outcome_of(&mut self, report: &Report, task: &Task) -> Report {
        let is_overdue = std::mem::take(&mut self.is_overdue);
        let mut report = report.clone();
        if let (true, AttemptResult::Stopped, Some(limit)) =
            (is_overdue, &report.result, task.timeout_ms)
        {
            report.result = AttemptResult::Failed(Failure::timed_out(u128::from(limit)));
        }
        report
    }
}
