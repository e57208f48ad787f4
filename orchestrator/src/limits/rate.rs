//! Bytes a second. Pure.

use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// Bytes that were admitted in the current second.
#[derive(Debug, Default)]
pub struct Rate {
    second: Option<Instant>,
    bytes: u64,
    has_dropped: bool,
}

/// What happens to a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is shown.
    Shown,
    /// It is dropped, the first since the beginning.
    FirstDropped,
    /// It is dropped, as others were before.
    Dropped,
}

impl Rate {
    /// Admits `bytes` bytes, or drops them if more than `limit` would come in the current second. A
    /// second begins with the first piece after the one before.
    pub fn admit(&mut self, now: Instant, bytes: u64, limit: u64) -> Admission {
        if self.second.is_none_or(|began| now.duration_since(began) >= SECOND) {
            self.second = Some(now);
            self.bytes = 0;
        }
        let sum = self.bytes.saturating_add(bytes);
        if sum <= limit {
            self.bytes = sum;
            return Admission::Shown;
        }
        // Shorter pieces must not slip through the gap that a longer one has left.
        self.bytes = limit;
        match std::mem::replace(&mut self.has_dropped, true) {
            false => Admission::FirstDropped,
            true => Admission::Dropped,
        }
    }
}
