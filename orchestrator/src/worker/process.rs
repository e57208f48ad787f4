//! One worker process: signals, the news of its end, its last output. How it is started is in `start`.

mod ceiling;
mod group;
mod raw;
mod start;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipc_protocol::kin::{Kin, Mark, is_resource_tracker};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::time::TimeSpec;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::WorkerId;
use super::blackbox::Blackbox;
use super::exit::Exit;
use super::tail::Tail;
use super::waker::Waker;
pub use ceiling::Lowered;
use group::{peak_memory, pidfd_signal_group};
pub use raw::RawLine;
use raw::RawOutput;
pub(crate) use start::usable_directory;
pub use start::{SpawnedZygote, Theirs, WorkerEnds, spawn, spawn_reaper, spawn_zygote};

/// Time between two looks whether they are there.
const STACK_PAUSE: Duration = Duration::from_micros(200);

/// A worker process, as sessions, the pool and the supervisor share it.
#[derive(Debug)]
pub struct Process {
    /// The worker's number.
    pub id: WorkerId,
    /// Its process id, which is its process group too.
    pub pid: u32,
    /// Its flight recorder.
    pub blackbox: Blackbox,
    /// What it and the programs of its nodes are found by.
    mark: Mark,
    /// Refers to this process and to no later one with the same id.
    pidfd: Arc<OwnedFd>,
    /// The pidfd of the zygote that is its parent; absent for children of this process.
    zygote: Option<Arc<OwnedFd>>,
    /// When it was started.
    pub started: Instant,
    state: Mutex<ProcessState>,
    end: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct ProcessState {
    exit: Option<Exit>,
    ended: Option<Instant>,
    /// In bytes; 0 when unknown.
    peak_memory: u64,
    /// Its number may mean another process by now.
    is_reaped: bool,
    /// It has ended, and nothing of what it started was running then.
    is_alone: bool,
    is_retired: bool,
    tail: Tail,
    listener: Option<Waker>,
    raw_output: RawOutput,
}

/// What an ended worker has left running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// Programs of its nodes.
    Programs,
    /// The same, and a resource tracker of `multiprocessing`.
    Tracker,
}

/// The parts of a new process that its supervisor needs.
#[derive(Debug)]
pub struct Spawned {
    /// The process, which sessions and the pool share.
    pub process: Arc<Process>,
    /// The orchestrator's end of the link.
    pub link: UnixStream,
    /// Becomes readable when the process has ended.
    pub pidfd: Arc<OwnedFd>,
    /// Its standard output.
    pub stdout: OwnedFd,
    /// Its standard error.
    pub stderr: OwnedFd,
}

/// Registers something that owns one descriptor with the supervisor's reactor.
///
/// # Errors
/// When the reactor does not take the descriptor.
pub(super) fn await_readable<T: OwnsDescriptor>(inner: T) -> std::io::Result<AsyncFd<T>> {
    // SAFETY: `OwnsDescriptor` is implemented below only for types that own one descriptor, keep
    // it open as long as they live and never exchange it.
    unsafe { AsyncFd::register_with_interest(inner, Interest::READABLE) }
        .map_err(std::io::Error::from)
}

/// Types that own exactly one descriptor, open and the same for their whole life.
pub(super) trait OwnsDescriptor: AsRawFd {}
impl OwnsDescriptor for Arc<OwnedFd> {}
impl OwnsDescriptor for super::link::Link {}

impl Process {
    fn state(&self) -> MutexGuard<'_, ProcessState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the worker. The supervisor then ends what its nodes have started.
    pub fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    /// Kills the worker and every process of its group at once.
    pub fn kill_group(&self) {
        self.signal_group(rustix::process::Signal::KILL);
    }

    /// Sends SIGTERM to what the ended worker has left running, except to resource trackers of
    /// `multiprocessing`: they end by themselves, once they have removed what the others left in
    /// `/dev/shm`.
    pub fn terminate_left(&self) -> Left {
        let mut state = self.state();
        let Some(kin) = self.kin(!state.is_reaped) else { return Left::Nothing };
        let Ok(others) = kin.others() else { return Left::Programs };
        state.is_alone = others.is_empty();
        let mut left = if state.is_alone { Left::Nothing } else { Left::Programs };
        for pid in others {
            if is_resource_tracker(pid) {
                left = Left::Tracker;
            } else {
                kin.signal(pid, rustix::process::Signal::TERM);
            }
        }
        left
    }

    /// Kills what the ended worker has left running, except resource trackers.
    pub fn kill_left(&self) {
        let state = self.state();
        if let Some(kin) = self.kin(!state.is_reaped && self.is_held_by_parent()) {
            let _no_descriptor_is_left = kin.kill(is_resource_tracker);
        }
    }

    /// What the worker has started. Its group is part of that where the worker has no mark.
    fn kin(&self, has_group: bool) -> Option<Kin> {
        let pid = i32::try_from(self.pid).ok().map(nix::unistd::Pid::from_raw)?;
        Some(Kin::new(pid, self.mark, has_group))
    }

    /// Kills the worker because its runtime no longer needs it.
    pub fn retire(&self) {
        self.state().is_retired = true;
        self.kill();
    }

    /// Whether the runtime itself ended the worker.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.state().is_retired
    }

    /// Has the worker record the Python stacks of its threads and interrupts its node code, with
    /// SIGSTKFLT. Waits for the record, at most so long.
    pub fn record_stacks(&self, grace: Duration) {
        self.signal(rustix::process::Signal::STKFLT);
        let until = Instant::now() + grace;
        // The worker cannot tell by its link, which it may have filled or closed.
        while !self.blackbox.is_recorded() && Instant::now() < until {
            let mut polled = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            if ppoll(&mut polled, Some(TimeSpec::from_duration(STACK_PAUSE)), None) != Ok(0) {
                return;
            }
        }
    }

    /// Asks the worker to end, with SIGTERM.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Asks the node code that runs in the worker to end, with SIGURG.
    pub fn interrupt(&self) {
        self.signal(rustix::process::Signal::URG);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let _gone = rustix::process::pidfd_send_signal(&*self.pidfd, signal);
    }

    fn signal_group(&self, signal: rustix::process::Signal) {
        // While the lock is held, `reap` cannot free the process id.
        let state = self.state();
        self.signal_group_locked(&state, signal);
    }

    /// Signals the group, even if another part of the program has reaped the group's leader.
    fn signal_group_locked(&self, state: &ProcessState, signal: rustix::process::Signal) {
        if pidfd_signal_group(self.pidfd.as_fd(), signal) != Err(Errno::EINVAL) {
            return;
        }
        // Before Linux 6.9 a group can be signalled only by its id, which is safe until its leader
        // is reaped.
        if let Some(pid) = self.raw_pid()
            && !state.is_reaped
            && self.is_held_by_parent()
        {
            let _no_one_left = rustix::process::kill_process_group(pid, signal);
        } else {
            self.signal(signal);
        }
    }

    /// Whether the parent has not reaped it. A zygote does not before it is asked to.
    fn is_held_by_parent(&self) -> bool {
        let Some(zygote) = &self.zygote else {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            return self.wait(look).is_ok();
        };
        runs(zygote)
    }

    /// Whether it has not ended.
    fn is_running(&self) -> bool {
        runs(&self.pidfd)
    }

    fn wait(&self, options: WaitIdOptions) -> rustix::io::Result<Option<WaitIdStatus>> {
        rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options)
    }

    fn raw_pid(&self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }

    /// Kills what an ended process has left running, reaps the process, and wakes the listener.
    pub fn reap(&self) {
        self.end_left();
        self.note_peak(peak_memory(self.pidfd.as_fd()));
        let status = self.wait(WaitIdOptions::EXITED).ok().flatten();
        let code = || status.as_ref()?.exit_status().map(Exit::Code);
        let signal = || {
            let status = status.as_ref()?;
            let number = status.terminating_signal()?;
            Some(Exit::Signal { number, has_core: Some(status.dumped()) })
        };
        self.note_exit(code().or_else(signal));
    }

    /// Kills what the ended process has left running. The process may be reaped then.
    pub fn end_left(&self) {
        let mut state = self.state();
        if !state.is_reaped {
            self.signal_group_locked(&state, rustix::process::Signal::KILL);
            state.is_reaped = true;
        }
        if !state.is_alone
            && let Some(kin) = self.kin(false)
        {
            let _no_descriptor_is_left = kin.kill(|_| false);
        }
    }

    /// Notes the highest resident memory of the process, in bytes, as its parent says.
    pub fn note_peak(&self, bytes: u64) {
        self.state().peak_memory = bytes;
    }

    /// Highest resident memory of the ended process, in bytes; 0 when unknown.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        self.state().peak_memory
    }

    /// Notes how the process ended, as its parent says, and tells the listener. Without a word of the
    /// parent it is what the flight recorder says.
    pub fn note_exit(&self, exit: Option<Exit>) {
        let mut state = self.state();
        state.exit = Some(exit.or_else(|| self.blackbox.exit()).unwrap_or(Exit::Unknown));
        state.ended = Some(Instant::now());
        self.end.notify_waiters();
        if let Some(listener) = &state.listener {
            listener.wake();
        }
    }

    /// Waits until the process is reaped. Other threads than the supervisor's, which reaps, could
    /// miss the notification.
    pub async fn ended(&self) {
        if self.exit().is_none() {
            self.end.notified().await;
        }
    }

    /// How long the process has existed, or had when it ended.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        let until = self.state().ended.unwrap_or_else(Instant::now);
        until.saturating_duration_since(self.started)
    }

    /// How the process ended, once it is reaped.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        self.state().exit.clone()
    }

    /// Sets the waker for output and for the exit of the process. Drops output that still waits.
    pub fn set_listener(&self, listener: Option<Waker>) {
        let mut state = self.state();
        state.raw_output = RawOutput::default();
        state.listener = listener;
    }

    /// Remembers a line of stderr that came through the link.
    pub fn note_stderr(&self, text: &str) {
        self.state().tail.push(text);
    }

    /// The last lines of stderr.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        self.state().tail.text()
    }

    /// Adds a line that came through a pipe.
    pub fn push_raw(&self, line: RawLine) {
        let mut state = self.state();
        if line.is_stderr {
            state.tail.push(&line.text);
        }
        if state.listener.is_none() {
            return;
        }
        state.raw_output.push(line);
        if let Some(listener) = &state.listener {
            listener.wake();
        }
    }

    /// Takes the waiting lines that came through the pipes, and the number of dropped ones.
    #[must_use]
    pub fn take_raw(&self) -> (Vec<RawLine>, u64) {
        self.state().raw_output.take()
    }
}

/// Whether a process has not ended: its pidfd becomes readable then.
fn runs(pidfd: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO) == Ok(0)
}
