//! The end of a worker whose call takes too long: the orchestrator says so with `SIGABRT`, and kills
//! the process soon after. In between the Python stack is noted, and the node's code is interrupted
//! by an exception, so that its `finally` blocks run, if it is Python code that runs.
//!
//! A thread of its own waits for the signal, which is blocked everywhere else: the thread that it
//! came to could as well be one that Python knows nothing of. What aborts by itself is not
//! concerned, for `abort` unblocks the signal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::{SigSet, Signal};

/// How long an interrupted node has for its last words; the orchestrator waits a little longer.
const GRACE: Duration = Duration::from_millis(150);
/// Has faulthandler note the stack of the thread that gets it, see `start.py`.
const NOTE_STACK: Signal = Signal::SIGSTKFLT;
/// Raises in Python code, and ends waits in system calls, see `start.py`.
const INTERRUPT: Signal = Signal::SIGPWR;

static IS_OVERDUE: AtomicBool = AtomicBool::new(false);

fn told() -> SigSet {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGABRT);
    signals
}

/// The calling thread and all that it starts from now on leave signals to the interpreter.
pub(crate) fn leave_to_interpreter() {
    // Without it a deadline ends the process at once, as it would by itself.
    let _at_once = SigSet::all().thread_block();
}

/// Takes the calling thread, which is the interpreter's, out of that.
///
/// # Errors
/// When the kernel refuses it.
pub(crate) fn take_signals() -> std::io::Result<()> {
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Takes the calling thread out of that as well, and waits for the signal.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn watch() -> std::io::Result<()> {
    take_signals()?;
    told().thread_block()?;
    let interpreter = pthread_self();
    let wait = move || {
        if told().wait().is_ok() {
            end(interpreter);
        }
    };
    thread::Builder::new().name("remotemedia-deadline".to_owned()).spawn(wait)?;
    Ok(())
}

fn end(interpreter: Pthread) {
    IS_OVERDUE.store(true, Ordering::SeqCst);
    for signal in [NOTE_STACK, INTERRUPT] {
        // The thread may be gone already; then there is nothing to note.
        let _gone = pthread_kill(interpreter, signal);
    }
    thread::park_timeout(GRACE);
    std::process::abort();
}

/// Called when node code has come back: the end that was put off for it.
pub(crate) fn end_if_overdue() {
    if IS_OVERDUE.load(Ordering::Relaxed) {
        std::process::abort();
    }
}
