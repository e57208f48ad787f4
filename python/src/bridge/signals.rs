//! Lets a signal end the wait of the main thread. Python's signal handlers run between bytecodes,
//! and a thread that waits in native code runs none; `EINTR` alone would miss a signal that comes
//! just before the wait. So Python's own wake-up descriptor is waited for as well.

use std::cell::Cell;
use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};

use crate::numpy_memory::forks;

/// The descriptors of this process, and whose they are: a forked child needs its own.
static PIPE: Mutex<Option<(u32, Arc<WakeupPipe>)>> = Mutex::new(None);

thread_local! {
    /// Set to [`forks`] when this was found not to be the main thread: no signal interrupts it, and to
    /// ask Python again costs an exception. In a forked child the only thread is the main one.
    static GETS_NONE: Cell<Option<u32>> = const { Cell::new(None) };
}

#[derive(Debug)]
struct WakeupPipe {
    reader: PipeReader,
    writer: PipeWriter,
}

impl WakeupPipe {
    fn of_this_process() -> std::io::Result<Arc<Self>> {
        let mut pipe = PIPE.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = std::process::id();
        if let Some((owner, pipe)) = &*pipe
            && *owner == ours
        {
            return Ok(Arc::clone(pipe));
        }
        let (reader, writer) = std::io::pipe()?;
        for end in [reader.as_fd(), writer.as_fd()] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let made = Arc::new(Self { reader, writer });
        *pipe = Some((ours, Arc::clone(&made)));
        Ok(made)
    }
}

/// While it lives, a signal makes [`SignalWatch::descriptor`] readable.
#[derive(Debug)]
pub(super) struct SignalWatch {
    pipe: Arc<WakeupPipe>,
    /// What an event loop of the program had set; -1 for nothing.
    previous: i32,
}

impl SignalWatch {
    /// Whether there can be a signal to watch for on this thread.
    pub(super) fn is_of_use() -> bool {
        GETS_NONE.get() != Some(forks())
    }

    /// Starts to watch; `None` on other threads than the main one, which get no signals.
    pub(super) fn start(py: Python<'_>) -> Option<Self> {
        let pipe = WakeupPipe::of_this_process().ok()?;
        match set_wakeup(py, pipe.writer.as_raw_fd()) {
            Ok(previous) => Some(Self { pipe, previous }),
            Err(error) => {
                if error.is_instance_of::<PyValueError>(py) {
                    GETS_NONE.set(Some(forks()));
                }
                None
            }
        }
    }

    /// Becomes readable when a signal has come.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.pipe.reader.as_fd()
    }

    /// Takes the wake-ups that have come, and hands them on to whom they would have gone.
    pub(super) fn drain(&self, py: Python<'_>) {
        let mut signals = [0; 64];
        let Ok(count @ 1..) = (&self.pipe.reader).read(&mut signals) else { return };
        if self.previous >= 0 {
            let bytes = PyBytes::new(py, &signals[..count]);
            let write = || py.import("os")?.call_method1("write", (self.previous, bytes));
            // A full or closed descriptor has nobody behind it who waits for more.
            let _unwanted = write();
        }
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        Python::attach(|py| {
            // With nobody to hand it on to, what came late ends the next wait, which is looked after.
            if self.previous >= 0 {
                self.drain(py);
            }
            // It can only fail off the main thread, where the watch never started.
            let _unchanged = set_wakeup(py, self.previous);
        });
    }
}

/// `signal.set_wakeup_fd`; gives the descriptor that was set before.
fn set_wakeup(py: Python<'_>, descriptor: i32) -> PyResult<i32> {
    static SET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let options = PyDict::new(py);
    options.set_item(intern!(py, "warn_on_full_buffer"), false)?;
    SET.import(py, "signal", "set_wakeup_fd")?.call((descriptor,), Some(&options))?.extract()
}
