//! Waiting requests: first come first served, except that sessions which already hold workers go
//! first, since others may be waiting for those workers.

use std::collections::VecDeque;

use super::{KeyId, Need, Ticket};

/// A request of a session that waits for workers.
#[derive(Debug)]
pub(super) struct Want {
    pub(super) ticket: Ticket,
    pub(super) needs: Vec<Need>,
    /// Whether the session already holds other workers.
    pub(super) holds: bool,
}

impl Want {
    pub(super) fn asks_for(&self, key: KeyId) -> bool {
        self.needs.iter().any(|need| need.key == key)
    }
}

/// Queues a request. Requests of sessions that hold workers come before all others.
pub(super) fn insert(waiting: &mut VecDeque<Want>, want: Want) {
    let ahead = waiting.iter().filter(|other| !want.holds || other.holds).count();
    waiting.insert(ahead, want);
}
