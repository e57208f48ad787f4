//! Lets a signal end the wait of the main thread. Python's signal handlers run between bytecodes,
//! and a thread that waits in native code runs none; `EINTR` alone would miss a signal that comes
//! just before the wait. So Python's own wake-up descriptor is waited for as well.

use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};

/// The descriptors of this process, and whose they are: a forked child needs its own.
static PIPE: Mutex<Option<(u32, Arc<WakeupPipe>)>> = Mutex::new(None);

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
    /// Starts to watch; `None` on other threads than the main one, which get no signals.
    pub(super) fn start(py: Python<'_>) -> Option<Self> {
        let pipe = WakeupPipe::of_this_process().ok()?;
        let previous = set_wakeup(py, pipe.writer.as_raw_fd()).ok()?;
        Some(Self { pipe, previous })
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
            self.drain(py);
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
