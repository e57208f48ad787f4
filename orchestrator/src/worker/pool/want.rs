//! Waiting requests: first come first served, except that sessions which already hold workers go
//! first, since others may be waiting for those workers.

use std::collections::VecDeque;

use super::{KeyId, Need, Ticket};

/// A session that waits for workers.
#[derive(Debug)]
pub(super) struct Want {
    pub(super) ticket: Ticket,
    pub(super) needs: Vec<Need>,
    /// It holds others meanwhile.
    pub(super) holds: bool,
}

impl Want {
    pub(super) fn asks_for(&self, key: KeyId) -> bool {
        self.needs.iter().any(|need| need.key == key)
    }
}

/// Puts a request in its place.
pub(super) fn insert(waiting: &mut VecDeque<Want>, want: Want) {
    let ahead = waiting.iter().filter(|other| !want.holds || other.holds).count();
    waiting.insert(ahead, want);
}
