//! Keeps forks by the caller's code apart from the starts of processes.
//!
//! A start waits until the new process has closed its copy of a pipe, which it does when it executes its
//! program. A process that another thread forks in that moment has a copy too: the start would take as
//! long as that process lives.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

thread_local! {
    static FORKING: Cell<Option<MutexGuard<'static, ()>>> = const { Cell::new(None) };
}

/// Until this is dropped, code that calls [`before_fork`] waits.
pub(super) fn none_meanwhile() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Call it before a fork, on the thread that forks. It waits for starts under way.
pub fn before_fork() {
    FORKING.set(Some(none_meanwhile()));
}

/// Call it after a fork, on the thread that forked, in the parent and in the child.
pub fn after_fork() {
    FORKING.set(None);
}
