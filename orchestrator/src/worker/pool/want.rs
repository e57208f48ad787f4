//! Waiting requests: first come first served, except that sessions which already hold workers go
//! first, since others may be waiting for those workers.

use std::collections::VecDeque;
use std::time::Instant;

use super::{KeyId, Need, PoolAction, PoolCore, Ticket};

/// A request of a session that waits for workers.
#[derive(Debug)]
pub(super) struct Want {
    pub(super) ticket: Ticket,
    pub(super) needs: Vec<Need>,
    pub(super) turn: Turn,
    pub(super) since: Instant,
}

/// When a request is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// At once or never: it does not wait for workers of other sessions.
    Now,
    /// In the order in which requests come.
    InOrder,
    /// In that order too; the session is open, so that draining does not concern it.
    Again,
    /// Before those: the session holds other workers, which are idle until it goes on.
    First,
}

impl Turn {
    /// Whether the session has had no workers before.
    pub(super) fn is_new(self) -> bool {
        matches!(self, Self::Now | Self::InOrder)
    }
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
    /// Refuses a request that does not wait.
    pub(super) fn overload(&mut self, at: usize, actions: &mut Vec<PoolAction>) {
        let refused = self.waiting.remove(at);
        actions.extend(refused.map(|want| PoolAction::Overload(want.ticket)));
    }
}
