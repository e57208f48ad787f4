//! Lets a signal end the wait of the main thread. Python's signal handlers run between bytecodes,
//! and a thread that waits in native code runs none; `EINTR` alone would miss a signal that comes
//! just before the wait. So the thread waits for Python's wake-up descriptor
//! (`signal.set_wakeup_fd`) too.

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

/// The pipe, with the id of the process that made it: a forked child needs its own.
static PIPE: Mutex<Option<(u32, Arc<WakeupPipe>)>> = Mutex::new(None);

thread_local! {
    /// Set to [`forks`] when this is not the main thread: Python delivers no signals to it, and a
    /// second attempt would cost an exception. A forked child has another count: its only thread is
    /// its main thread.
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
    /// Wake-up descriptor that was set before, such as that of an event loop; -1: none.
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

    /// Readable after a signal has arrived.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.pipe.reader.as_fd()
    }

    /// Reads the wake-ups that have arrived, and writes them to the descriptor that was set before.
    pub(super) fn drain(&self, py: Python<'_>) {
        let mut signals = [0; 64];
        let Ok(count @ 1..) = (&self.pipe.reader).read(&mut signals) else { return };
        if self.previous >= 0 {
            let bytes = PyBytes::new(py, &signals[..count]);
            let write = || py.import("os")?.call_method1("write", (self.previous, bytes));
            // A failed write loses nothing: a full descriptor wakes its reader anyway, a closed one
            // has none.
            let _unwanted = write();
        }
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        Python::attach(|py| {
            // Without a previous descriptor a late wake-up stays in the pipe and only ends the next
            // wait early.
            if self.previous >= 0 {
                self.drain(py);
            }
            // This fails only on other threads than the main one, where no watch is started.
            let _unchanged = set_wakeup(py, self.previous);
        });
    }
}

/// Calls `signal.set_wakeup_fd`; returns the descriptor that was set before.
fn set_wakeup(py: Python<'_>, descriptor: i32) -> PyResult<i32> {
    static SET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let options = PyDict::new(py);
    options.set_item(intern!(py, "warn_on_full_buffer"), false)?;
    SET.import(py, "signal", "set_wakeup_fd")?.call((descriptor,), Some(&options))?.extract()
}
