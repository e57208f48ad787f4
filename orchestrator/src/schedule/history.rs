//! What a slot's nodes have done since their state was last saved, so that a fresh worker can do it
//! again: from the saved state on it gets the same calls in the same order, and what the caller already
//! has is not passed on twice.

use std::collections::VecDeque;

use super::{StageId, Work};

/// Deaths in a row while calls are repeated, after which the state is given up; while it is saved, after
/// which it counts as state that cannot be saved.
const MOST_DEATHS: u32 = 3;
/// If saving fails, calls are kept until there are this many times as many as between two saves.
const PATIENCE: usize = 8;
/// Most calls that are kept while the state cannot be saved because another call is suspended.
const MOST_CALLS: usize = 1024;

/// A call that is over, as far as it takes to repeat it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Past<T> {
    pub(super) stage: StageId,
    pub(super) work: Work<T>,
    /// Number of outputs that it gave.
    pub(super) outputs: u32,
}

/// The calls of one slot since its state was saved.
#[derive(Debug)]
pub(super) struct History<T> {
    /// Calls between two saves; `None`: its nodes cannot save their state, so nothing is kept.
    every: Option<usize>,
    calls: VecDeque<Past<T>>,
    /// The worker was asked to save the state. It answers before any later call, so its answer covers all
    /// of `calls`.
    is_asked: bool,
    /// Number of `calls` at which the state is saved next.
    next: usize,
    /// The state could not be saved last time.
    has_failed: bool,
    /// The calls that are still to be repeated, before anything else.
    replay: VecDeque<Past<T>>,
    /// A worker that was to get the saved state has not got it yet.
    is_restoring: bool,
    /// Deaths in a row while the state was being saved.
    saving_deaths: u32,
    /// Deaths and failed openings in a row while something was to be restored or repeated.
    deaths: u32,
}

impl<T: Clone> History<T> {
    /// For a slot whose nodes do not save their state.
    pub(super) fn new() -> Self {
        let (calls, replay) = (VecDeque::new(), VecDeque::new());
        Self {
            every: None,
            calls,
            is_asked: false,
            next: 0,
            has_failed: false,
            replay,
            is_restoring: false,
            saving_deaths: 0,
            deaths: 0,
        }
    }

    /// The nodes save their state after this many calls, or not at all.
    pub(super) fn keep(&mut self, every: Option<usize>) {
        if self.every != every {
            *self = Self { every, next: every.unwrap_or_default(), ..Self::new() };
        }
    }

    pub(super) fn is_kept(&self) -> bool {
        self.every.is_some()
    }

    /// A call is over. Returns false if there are too many, because saving fails: the state is lost from
    /// now on if the worker dies.
    pub(super) fn finish(&mut self, past: Past<T>, is_repeated: bool) -> bool {
        let Some(every) = self.every else { return true };
        if is_repeated {
            self.replay.pop_front();
        } else {
            self.deaths = 0;
        }
        self.calls.push_back(past);
        let patience = every.saturating_mul(PATIENCE);
        let most = if self.has_failed { patience } else { patience.max(MOST_CALLS) };
        let is_too_long = self.calls.len() > most && self.replay.is_empty();
        if is_too_long {
            *self = Self::new();
        }
        !is_too_long
    }

    /// Whether the state is to be saved now, if no call is under way. If so, the worker counts as asked.
    pub(super) fn save(&mut self) -> bool {
        let is_due = self.every.is_some()
            && !self.is_asked
            && self.replay.is_empty()
            && self.calls.len() >= self.next;
        self.is_asked |= is_due;
        is_due
    }

    /// The worker has saved the state, or could not.
    pub(super) fn saved(&mut self, is_saved: bool) {
        if !std::mem::take(&mut self.is_asked) {
            return;
        }
        if is_saved {
            // The worker has restored its state and repeated all calls.
            self.calls.clear();
            (self.deaths, self.saving_deaths) = (0, 0);
        }
        self.has_failed = !is_saved;
        self.next = self.every.unwrap_or_default() + if is_saved { 0 } else { self.calls.len() };
    }

    /// The worker is gone: a fresh one gets the last saved state, and repeats the calls since then. Returns
    /// how many; `None`: nothing was kept, or repeating them has failed too often.
    pub(super) fn lose(&mut self) -> Option<usize> {
        let every = self.every?;
        let has_died_saving = std::mem::take(&mut self.is_asked);
        if !self.replay.is_empty() || self.is_restoring {
            self.count_death()?;
        }
        let rest = std::mem::take(&mut self.replay);
        self.replay = self.calls.drain(..).chain(rest).collect();
        self.is_restoring = true;
        if has_died_saving {
            self.saving_deaths += 1;
            self.has_failed |= self.saving_deaths > MOST_DEATHS;
        }
        // Saving is tried again after some more calls, so that the next worker does not die at once.
        self.next = every + if has_died_saving { self.replay.len() } else { 0 };
        Some(self.replay.len())
    }

    /// A fresh worker could not restore the saved state. Returns false if that has failed too often: the
    /// next one begins without it.
    pub(super) fn fail_to_restore(&mut self) -> bool {
        self.every.is_none() || self.count_death().is_some()
    }

    /// `None`: there were too many, and nothing is kept any more.
    fn count_death(&mut self) -> Option<()> {
        self.deaths += 1;
        if self.deaths > MOST_DEATHS {
            *self = Self::new();
            return None;
        }
        Some(())
    }

    /// A fresh worker has got the saved state.
    pub(super) fn restored(&mut self) {
        self.is_restoring = false;
    }

    /// The call that is to be repeated before any other.
    pub(super) fn repeated(&self) -> Option<&Past<T>> {
        self.replay.front()
    }
}
