//! One worker process: signals, the news of its end, its last output. How it is started is in `start`.

mod ceiling;
mod group;
mod raw;
mod start;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::WorkerId;
use super::blackbox::Blackbox;
use super::exit::Exit;
use super::tail::Tail;
use super::waker::Waker;
pub use ceiling::Lowered;
use group::{group_members, is_resource_tracker, pidfd_signal_group};
pub use raw::RawLine;
use raw::RawOutput;
pub(super) use start::usable_directory;
pub use start::{SpawnedZygote, Theirs, WorkerEnds, spawn, spawn_zygote};

/// A worker process, as sessions, the pool and the supervisor share it.
#[derive(Debug)]
pub struct Process {
    /// The worker's number.
    pub id: WorkerId,
    /// Its process id, which is its process group too.
    pub pid: u32,
    /// Its flight recorder.
    pub blackbox: Blackbox,
    /// Refers to this process and to no later one with the same id.
    pidfd: Arc<OwnedFd>,
    /// The pidfd of the zygote that is its parent; absent for children of this process.
    zygote: Option<Arc<OwnedFd>>,
    state: Mutex<ProcessState>,
    end: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct ProcessState {
    exit: Option<Exit>,
    /// Its number may mean another process by now.
    is_reaped: bool,
    is_retired: bool,
    tail: Tail,
    listener: Option<Waker>,
    raw_output: RawOutput,
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
    /// A process that has been started: by this one, or by the zygote that `zygote` means.
    pub(super) fn new(
        id: WorkerId,
        pid: u32,
        blackbox: Blackbox,
        pidfd: Arc<OwnedFd>,
        zygote: Option<Arc<OwnedFd>>,
    ) -> Arc<Self> {
        let (state, end) = (Mutex::default(), tokio::sync::Notify::new());
        Arc::new(Self { id, pid, blackbox, pidfd, zygote, state, end })
    }

    fn state(&self) -> MutexGuard<'_, ProcessState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the worker. The supervisor then ends the other processes of its group.
    pub fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    /// Kills the worker and every process of its group at once.
    pub fn kill_group(&self) {
        self.signal_group(rustix::process::Signal::KILL);
    }

    /// Sends SIGTERM to all processes in the group of an ended worker, except resource trackers of
    /// `multiprocessing`: they end by themselves, once they have removed what the others left in
    /// `/dev/shm`. Returns whether there are any.
    pub fn terminate_group(&self) -> bool {
        let state = self.state();
        let (false, Some(group)) = (state.is_reaped, self.raw_pid()) else { return false };
        let (trackers, others): (Vec<_>, Vec<_>) =
            group_members(group).into_iter().partition(|pid| is_resource_tracker(*pid));
        for pid in others {
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        !trackers.is_empty()
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

    /// Ends the worker with SIGABRT, on which its faulthandler records the Python stack first.
    pub fn abort(&self) {
        self.signal(rustix::process::Signal::ABORT);
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
        // is reaped. After that, programs that the nodes of a dead worker started keep running.
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

    /// Kills the rest of an ended process's group, reaps the process, and wakes the listener.
    pub fn reap(&self) {
        self.end_group();
        let status = self.wait(WaitIdOptions::EXITED).ok().flatten();
        let code = || status.as_ref()?.exit_status().map(Exit::Code);
        let signal = || status.as_ref()?.terminating_signal().map(Exit::Signal);
        self.note_exit(code().or_else(signal));
    }

    /// Ends what is left of the group of the ended process, which may be reaped then.
    pub fn end_group(&self) {
        let mut state = self.state();
        if !state.is_reaped {
            self.signal_group_locked(&state, rustix::process::Signal::KILL);
            state.is_reaped = true;
        }
    }

    /// Notes how the process ended, as its parent says, and tells the listener. Without a word of the
    /// parent it is what the flight recorder says.
    pub fn note_exit(&self, exit: Option<Exit>) {
        let mut state = self.state();
        let exit = exit.or_else(|| self.blackbox.signal().map(Exit::Signal));
        state.exit = Some(exit.unwrap_or(Exit::Unknown));
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
