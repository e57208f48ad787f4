//! Ends a call that exceeds its deadline. The orchestrator sends `SIGSTKFLT`, and ends the process
//! after `[workers] stop_grace`. In between, the worker writes the Python stack to the flight recorder
//! and interrupts the node with an exception, so that `finally` blocks of Python code run; then it
//! ends by itself.
//!
//! One thread waits for `SIGSTKFLT`; all others block it, because otherwise the kernel might deliver
//! it to a thread that the interpreter does not know.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::{SigSet, Signal};

/// Makes faulthandler write the stack of the thread that receives this signal, see `start.py`.
const NOTE_STACK: Signal = Signal::SIGIO;
/// Raises `Overdue` in Python code and ends blocking system calls, see `start.py`.
const INTERRUPT: Signal = Signal::SIGPWR;

static IS_OVERDUE: AtomicBool = AtomicBool::new(false);

fn told() -> SigSet {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGSTKFLT);
    signals
}

/// Blocks all signals for the calling thread and the threads that it starts, so that only the
/// interpreter's thread receives signals.
pub(crate) fn leave_to_interpreter() {
    // If blocking fails, `SIGSTKFLT` at a deadline ends the process at once.
    let _at_once = SigSet::all().thread_block();
}

/// Unblocks all signals for the calling thread, which is the interpreter's.
///
/// # Errors
/// When the system call fails.
pub(crate) fn take_signals() -> std::io::Result<()> {
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Unblocks all signals except `SIGSTKFLT` for the calling thread, which is the interpreter's, and
/// starts the thread that waits for `SIGSTKFLT`.
///
/// # Errors
/// When a system call fails or the thread cannot be started.
pub(crate) fn watch() -> std::io::Result<()> {
    take_signals()?;
    told().thread_block()?;
    let interpreter = pthread_self();
    let wait = move || {
        if told().wait().is_ok() {
            interrupt(interpreter);
        }
    };
    thread::Builder::new().name("remotemedia-deadline".to_owned()).spawn(wait)?;
    Ok(())
}

fn interrupt(interpreter: Pthread) {
    IS_OVERDUE.store(true, Ordering::SeqCst);
    for signal in [NOTE_STACK, INTERRUPT] {
        // Sending fails if the thread has ended; then it has no stack to write.
        let _gone = pthread_kill(interpreter, signal);
    }
}

/// Aborts the process if a deadline has passed; called when node code has returned.
pub(crate) fn end_if_overdue() {
    if IS_OVERDUE.load(Ordering::Relaxed) {
        std::process::abort();
    }
}
