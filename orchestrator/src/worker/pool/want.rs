//! Waiting requests: first come first served, except that sessions which already hold workers go
//! first, since others may be waiting for those workers.

use std::collections::VecDeque;

use super::{Entry, KeyId, LifeState, Need, PoolAction, PoolCore, Ticket};

/// A request of a session that waits for workers.
#[derive(Debug)]
pub(super) struct Want {
    pub(super) ticket: Ticket,
    pub(super) needs: Vec<Need>,
    pub(super) turn: Turn,
}

/// When a request is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// At once or never: it does not wait for workers of other sessions.
    Now,
    /// In the order in which requests come.
    InOrder,
    /// Before those: the session holds other workers, which are idle until it goes on.
    First,
}

impl Want {
    pub(super) fn asks_for(&self, key: KeyId) -> bool {
        self.needs.iter().any(|need| need.key == key)
    }
}

/// Queues a request. Requests of sessions that hold workers come before all others.
pub(super) fn insert(waiting: &mut VecDeque<Want>, want: Want) {
    let is_first = |want: &Want| want.turn == Turn::First;
    let ahead = waiting.iter().filter(|other| !is_first(&want) || is_first(other)).count();
    waiting.insert(ahead, want);
}

impl PoolCore {
    /// Number of workers of a kind that are idle, or will be once they have started.
    pub(super) fn coming(&self, key: KeyId) -> usize {
        self.count(key, LifeState::Ready) + self.count(key, LifeState::Starting)
    }

    /// Whether workers for a need will be there without another session giving one back: they start, or
    /// others end to make room for them.
    pub(super) fn is_coming(&self, need: Need) -> bool {
        let ending =
            |entry: &&Entry| entry.key.pool == need.key.pool && entry.state == LifeState::Draining;
        let room = self.workers.values().filter(ending).count();
        self.coming(need.key) + room >= need.count
    }

    /// Refuses a request that does not wait.
    pub(super) fn overload(&mut self, at: usize, actions: &mut Vec<PoolAction>) {
        let refused = self.waiting.remove(at);
        actions.extend(refused.map(|want| PoolAction::Overload(want.ticket)));
    }
}
