//! Signals that end the command line, and SIGHUP, at which it reads its configuration again. Workers die
//! with it by themselves, but programs that their nodes started do not. So the workers are ended first,
//! with their whole process groups.

use std::fs::{self, File};
use std::io::{self, PipeWriter, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::runtime::{Runtime, told};

/// Signals with which a terminal, a service manager or a user ends a program; SIGHUP may mean less.
const HANDLED: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Handles the signals in `HANDLED` until it is dropped. Signals that this process ignores, such as
/// SIGHUP under nohup, are left out: the signalfd would receive them once they are blocked.
pub(super) struct Watch {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
    before: SigSet,
}

impl Watch {
    /// Blocks the signals and starts the thread that waits for them. Call it before other threads
    /// start: an earlier thread does not block the signals, so they would end the process at once.
    ///
    /// # Errors
    /// When no descriptor is left, or no thread can be started.
    pub(super) fn start(runtime: &Arc<Runtime>) -> io::Result<Self> {
        let ignored = ignored_mask();
        let is_ours = |signal: &Signal| ignored & (1 << (*signal as i32 - 1)) == 0;
        let signals: SigSet = HANDLED.into_iter().filter(is_ours).collect();
        let told = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let (stopped, stop) = io::pipe()?;
        let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let runtime = Arc::clone(runtime);
        let had_terminal = has_terminal();
        let watch = move || {
            while let Some(signal) = wait(&told, &stopped) {
                // At a hang-up the terminal is gone; otherwise another process has sent the signal.
                if signal == Signal::SIGHUP && had_terminal == has_terminal() {
                    reload(&runtime);
                    continue;
                }
                Runtime::shut_down_for_exit(&[Arc::clone(&runtime)]);
                // The signal's default action ends this process, so that its parent sees that
                // signal.
                let _unblocked = SigSet::from(signal).thread_unblock();
                let _ended = raise(signal);
            }
        };
        // From here on, dropping `started` ends the thread and restores the signal mask.
        let mut started = Self { stop: Some(stop), thread: None, before };
        let builder = std::thread::Builder::new().name("remotemedia-signals".to_owned());
        started.thread = Some(builder.spawn(watch)?);
        Ok(started)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        // After a signal this `join` does not return: the thread ends the process.
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
        let _unchanged = self.before.thread_set_mask();
    }
}

/// Whether the process has a terminal from which signals come.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Reads the configuration again, and says what has changed.
fn reload(runtime: &Runtime) {
    let told = match runtime.reload() {
        Ok(changes) if changes.is_empty() => "the configuration has not changed".to_owned(),
        Ok(changes) => told(&changes),
        Err(error) => format!("nothing is changed: {error}"),
    };
    let _unwritable = writeln!(io::stderr().lock(), "remotemedia: {told}");
}

/// Bit mask of the signals that this process ignores; 0 if /proc cannot be read.
fn ignored_mask() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Waits for a signal. `None`: the other end of the pipe was closed.
fn wait(signals: &SignalFd, stopped: &impl AsFd) -> Option<Signal> {
    let mut sources = [
        PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
    ];
    while let Err(error) = poll(&mut sources, PollTimeout::NONE) {
        if error != Errno::EINTR {
            return None;
        }
    }
    let came = signals.read_signal().ok().flatten()?;
    i32::try_from(came.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok())
}
