//! What is to be written, one write at a time: while one is under way, further changes gather for the
//! next. So many small changes share a commit, and nothing that follows from a change happens before
//! the change is durable. Pure.

use std::collections::HashSet;
use std::sync::Arc;

use super::event::{Action, Refusal, StoreTrouble, Ticket};
use crate::record::{Change, RunId};

/// What follows once changes are durable.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    /// Runs begin, and the caller gets their names.
    Begin(Ticket, Vec<RunId>),
    /// A caller gets its answer.
    Answer(Ticket, RunId),
    /// A part is started: its intent is written.
    Start(RunId, usize, usize),
    /// Steps that wait for this one may begin.
    StepEnded(RunId, usize),
    /// The run is at its end.
    RunEnded(RunId),
}

/// The ticket of what no caller waits for.
pub(super) const NO_CALLER: Ticket = 0;
/// First pause after a failed write, and the longest one, in milliseconds.
const PAUSES_MS: (i64, i64) = (50, 1_000);

/// The changes and what follows from them.
#[derive(Debug, Default)]
pub(super) struct Journal {
    gathered: Vec<Change>,
    gathered_effects: Vec<Effect>,
    writing: Option<(Arc<Vec<Change>>, Vec<Effect>)>,
    /// When a failed write is tried again.
    again_ms: Option<i64>,
    failures: u32,
}

impl Journal {
    pub(super) fn add(&mut self, change: Change) {
        self.gathered.push(change);
    }

    /// Adds what follows from all changes so far.
    pub(super) fn then(&mut self, effect: Effect) {
        self.gathered_effects.push(effect);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.writing.is_none() && self.gathered.is_empty() && self.gathered_effects.is_empty()
    }

    /// Whether the last write has failed.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.failures > 0
    }

    pub(super) fn due_ms(&self) -> Option<i64> {
        self.again_ms
    }

    /// The next write, if none is under way. Effects without changes are due at once.
    pub(super) fn flush(&mut self, now_ms: i64) -> (Option<Action>, Vec<Effect>) {
        match &self.writing {
            Some((changes, _)) if self.again_ms.is_some_and(|again| again <= now_ms) => {
                self.again_ms = None;
                return (Some(Action::Write(Arc::clone(changes))), Vec::new());
            }
            Some(_) => return (None, Vec::new()),
            None => {}
        }
        if self.gathered.is_empty() {
            return (None, std::mem::take(&mut self.gathered_effects));
        }
        let changes = Arc::new(std::mem::take(&mut self.gathered));
        let effects = std::mem::take(&mut self.gathered_effects);
        self.writing = Some((Arc::clone(&changes), effects));
        (Some(Action::Write(changes)), Vec::new())
    }

    pub(super) fn stored(&mut self) -> Vec<Effect> {
        self.failures = 0;
        self.writing.take().map(|(_, effects)| effects).unwrap_or_default()
    }

    /// Takes note of a failed write and returns the runs that it refuses: those that callers wait to
    /// begin, also in the next write. All else is tried again, because what tasks have returned must
    /// not be lost. The next write removes refused runs: it is unknown whether this one was made.
    pub(super) fn failed(
        &mut self,
        now_ms: i64,
        trouble: &StoreTrouble,
        actions: &mut Vec<Action>,
    ) -> HashSet<RunId> {
        let mut refused = HashSet::new();
        let Some((changes, effects)) = self.writing.take() else { return refused };
        actions.push(Action::Trouble(trouble.reason.clone()));
        let new: HashSet<RunId> =
            changes.iter().chain(&self.gathered).filter_map(new_run).collect();
        let mut without_new = |effects: Vec<Effect>| {
            let mut kept = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Begin(ticket, runs) if ticket != NO_CALLER => {
                        let refusal = Refusal::Store(trouble.reason.clone());
                        actions.push(Action::Answer(ticket, Err(refusal)));
                        // Others are at work already, and must lose nothing.
                        refused.extend(runs.into_iter().filter(|run| new.contains(run)));
                    }
                    other => kept.push(other),
                }
            }
            kept
        };
        let effects = without_new(effects);
        self.gathered_effects = without_new(std::mem::take(&mut self.gathered_effects));
        let is_kept = |change: &Change| match change {
            Change::NewRun(run) => !refused.contains(&run.id),
            Change::Step(run, _) => !refused.contains(run),
            _ => true,
        };
        self.gathered.retain(is_kept);
        self.gathered.extend(changes.iter().filter_map(|change| match change {
            Change::NewRun(row) if refused.contains(&row.id) => {
                Some(Change::ForgetRun { id: Arc::clone(&row.id), created_ms: row.created_ms })
            }
            _ => None,
        }));
        let kept: Vec<Change> = changes.iter().filter(|change| is_kept(change)).cloned().collect();
        if kept.is_empty() && effects.is_empty() {
            self.failures = 0;
            return refused;
        }
        let (first, longest) = PAUSES_MS;
        let pause = first.checked_shl(self.failures.min(16)).unwrap_or(longest).min(longest);
        self.failures += 1;
        self.again_ms = Some(now_ms.saturating_add(pause));
        self.writing = Some((Arc::new(kept), effects));
        refused
    }
}

fn new_run(change: &Change) -> Option<RunId> {
    if let Change::NewRun(row) = change { Some(Arc::clone(&row.id)) } else { None }
}
