//! Forks: what a process shares with its parent is the parent's to manage, so whatever was made
//! before a fork does nothing in the child.

use std::sync::atomic::{AtomicU64, Ordering};

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// To be called in the child after a fork: arenas, leases and names that it inherited give nothing
/// and take nothing back from now on.
pub fn forked_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// When something was made, counted in forks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Generation(u64);

impl Default for Generation {
    /// The present one.
    fn default() -> Self {
        Self(GENERATION.load(Ordering::Relaxed))
    }
}

impl Generation {
    /// Whether the process has been forked off since.
    pub(super) fn is_past(self) -> bool {
        self.0 != GENERATION.load(Ordering::Relaxed)
    }
}
