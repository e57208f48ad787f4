//! One worker process: spawning, killing, noticing its exit. The only `unsafe` of the orchestrator
//! is here: what a child does between fork and exec, a system call that no crate wraps, and the
//! registration of owned descriptors with the reactor.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::blackbox::{Blackbox, DESCRIPTOR_VARIABLE};
use super::exit::Exit;
use super::tail::Tail;
use super::waker::Waker;
use super::{Start, WorkerId, WorkerKey};
use crate::error::StartError;

/// Variable that names all variables that a worker is started with; see `_guest/surroundings.py`.
const GIVEN_VARIABLE: &str = "REMOTEMEDIA_GIVEN_VARIABLES";

/// Raw lines of output that may wait for the session; older ones are dropped with a notice.
const MAX_RAW_LINES: usize = 4_096;

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
    state: Mutex<ProcessState>,
    end: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct ProcessState {
    exit: Option<Exit>,
    is_retired: bool,
    tail: Tail,
    listener: Option<Waker>,
    raw_output: VecDeque<RawLine>,
    dropped_lines: u64,
}

/// A line that came through a pipe of the worker and not through its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLine {
    /// Whether the line came through stderr.
    pub is_stderr: bool,
    /// The line, without its newline.
    pub text: String,
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
    pub stdout: ChildStdout,
    /// Its standard error.
    pub stderr: ChildStderr,
}

/// Starts a worker. Call it only on the supervisor's thread: the parent-death signal is sent when
/// the thread that forked ends.
///
/// # Errors
/// When the interpreter cannot be executed or no descriptor is left.
pub fn spawn(id: WorkerId, key: &WorkerKey, start: &Start) -> Result<Spawned, StartError> {
    let refused = |action| move |source: std::io::Error| StartError::system(action, &source);
    let blackbox = Blackbox::new().map_err(refused("making its flight recorder"))?;
    let (ours, theirs) = UnixStream::pair().map_err(refused("making its connection"))?;
    let mut command = Command::new(&key.interpreter);
    command
        .args(&key.options)
        .args(["-P", "-m", "remotemedia._worker"])
        .env_clear()
        .envs(start.environment.iter().map(|(name, value)| (name, value)))
        .env(DESCRIPTOR_VARIABLE, blackbox.descriptor().to_string())
        .env(GIVEN_VARIABLE, given_names(start))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(directory) = usable_directory(start.working_directory.as_deref()) {
        command.current_dir(directory);
    }
    prepare_child(&mut command, blackbox.descriptor());
    let mut child = command.spawn().map_err(|source| not_started(key, &source))?;
    let (pidfd, stdout, stderr) =
        match (open_pidfd(&child), child.stdout.take(), child.stderr.take()) {
            (Ok(pidfd), Some(stdout), Some(stderr)) => (Arc::new(pidfd), stdout, stderr),
            (pidfd, ..) => {
                // Without them, its exit or its output would go unnoticed.
                let _gone = child.kill().and_then(|()| child.wait());
                let missing = || std::io::Error::other("its output pipes are missing");
                return Err(refused("watching it")(pidfd.err().unwrap_or_else(missing)));
            }
        };
    let process = Process {
        id,
        pid: child.id(),
        blackbox,
        pidfd: Arc::clone(&pidfd),
        state: Mutex::default(),
        end: tokio::sync::Notify::new(),
    };
    Ok(Spawned { process: Arc::new(process), link: ours, pidfd, stdout, stderr })
}

/// The names of the variables that a worker is started with, joined by `=`, which no name holds. If
/// its interpreter is a wrapper script, the worker finds the variables that the script added.
fn given_names(start: &Start) -> OsString {
    let of_start = start.environment.iter().map(|(name, _)| name.as_os_str());
    let own = [DESCRIPTOR_VARIABLE, GIVEN_VARIABLE].map(OsStr::new);
    of_start.chain(own).collect::<Vec<_>>().join(OsStr::new("="))
}

/// The error for a process that could not be started. It blames the interpreter, unless the system
/// has run out of something that every process needs.
fn not_started(key: &WorkerKey, source: &std::io::Error) -> StartError {
    match StartError::system("starting its process", source) {
        StartError::System { remedy: "", reason, .. } => StartError::Spawn {
            interpreter: key.interpreter.clone(),
            setting: key.executable_setting(),
            reason,
        },
        shortage => shortage,
    }
}

/// `directory`, if it can be entered (looking up `.` needs the same permission). Otherwise every
/// spawn with it would fail, so the worker starts in the orchestrator's own directory.
pub(super) fn usable_directory(directory: Option<&Path>) -> Option<&Path> {
    directory.filter(|path| path.join(".").is_dir())
}

fn open_pidfd(child: &Child) -> std::io::Result<OwnedFd> {
    let pid = Pid::from_child(child);
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// Signals the process group of the process that `pidfd` refers to, also after it was reaped. No id
/// is used that another group might have by now. `EINVAL` before Linux 6.9.
fn pidfd_signal_group(pidfd: BorrowedFd<'_>, signal: rustix::process::Signal) -> nix::Result<()> {
    const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;
    let number = libc::SYS_pidfd_send_signal;
    // SAFETY: the kernel reads its arguments and, as the third is null, no memory of this process.
    let sent = unsafe {
        let nothing = std::ptr::null::<libc::siginfo_t>();
        let (pidfd, signal) = (pidfd.as_raw_fd(), signal.as_raw());
        libc::syscall(number, pidfd, signal, nothing, PIDFD_SIGNAL_PROCESS_GROUP)
    };
    Errno::result(sent).map(drop)
}

fn prepare_child(command: &mut Command, blackbox: std::os::fd::RawFd) {
    let parent = nix::unistd::getpid();
    let in_child = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The supervisor's thread blocks all signals; its children must not inherit that.
        SigSet::empty().thread_set_mask()?;
        // If SIGCHLD stayed ignored, nodes could not get the exit codes of their own children.
        // Other signals that the caller ignores (SIGHUP under nohup) stay ignored, as in any child.
        // SAFETY: the default disposition runs no code of this process.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
        // The parent may have died before the parent-death signal was set.
        if nix::unistd::getppid() != parent {
            return Err(std::io::Error::from(nix::errno::Errno::ESRCH));
        }
        // SAFETY: the descriptor is open in the parent while it forks, hence in the child.
        let blackbox = unsafe { BorrowedFd::borrow_raw(blackbox) };
        nix::fcntl::fcntl(blackbox, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made (prctl, sigprocmask, sigaction, getppid,
    // fcntl), all of them async-signal-safe; nothing allocates or takes a lock.
    unsafe {
        command.pre_exec(in_child);
    }
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
        let (None, Some(group)) = (&state.exit, self.raw_pid()) else { return false };
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
        let _unreaped = self.state();
        self.signal_group_locked(signal);
    }

    /// Signals the group, even if another part of the program has reaped the group's leader.
    fn signal_group_locked(&self, signal: rustix::process::Signal) {
        if pidfd_signal_group(self.pidfd.as_fd(), signal) != Err(Errno::EINVAL) {
            return;
        }
        // Before Linux 6.9 a group can be signalled only by its id, which is safe until its leader
        // is reaped. After that, programs that the nodes of a dead worker started keep running.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if let Some(pid) = self.raw_pid()
            && self.wait(look).is_ok()
        {
            let _no_one_left = rustix::process::kill_process_group(pid, signal);
        } else {
            self.signal(signal);
        }
    }

    fn wait(&self, options: WaitIdOptions) -> rustix::io::Result<Option<WaitIdStatus>> {
        rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options)
    }

    fn raw_pid(&self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }

    /// Kills the rest of an ended process's group, reaps the process, and wakes the listener.
    pub fn reap(&self) {
        let mut state = self.state();
        if state.exit.is_some() {
            return;
        }
        self.signal_group_locked(rustix::process::Signal::KILL);
        let status = self.wait(WaitIdOptions::EXITED).ok().flatten();
        let code = || status.as_ref()?.exit_status().map(Exit::Code);
        let signal = || status.as_ref()?.terminating_signal().map(Exit::Signal);
        let exit = code().or_else(signal).or_else(|| self.blackbox.signal().map(Exit::Signal));
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
        state.raw_output.clear();
        state.dropped_lines = 0;
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
        if state.raw_output.len() == MAX_RAW_LINES {
            state.raw_output.pop_front();
            state.dropped_lines += 1;
        }
        state.raw_output.push_back(line);
        if let Some(listener) = &state.listener {
            listener.wake();
        }
    }

    /// Takes the waiting lines that came through the pipes, and the number of dropped ones.
    #[must_use]
    pub fn take_raw(&self) -> (Vec<RawLine>, u64) {
        let mut state = self.state();
        let dropped = std::mem::take(&mut state.dropped_lines);
        (state.raw_output.drain(..).collect(), dropped)
    }
}

/// The processes of a group. With nix: rustix cannot represent group 0, that of kernel threads.
fn group_members(group: Pid) -> Vec<Pid> {
    let Ok(listed) = std::fs::read_dir("/proc") else { return Vec::new() };
    let group = nix::unistd::Pid::from_raw(group.as_raw_pid());
    let number = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.ok()?.file_name().to_str()?.parse().ok().map(nix::unistd::Pid::from_raw)
    };
    let members =
        listed.filter_map(number).filter(|pid| nix::unistd::getpgid(Some(*pid)) == Ok(group));
    members.filter_map(|pid| Pid::from_raw(pid.as_raw())).collect()
}

/// Whether the command line of a process is that of a resource tracker of `multiprocessing`.
fn is_resource_tracker(pid: Pid) -> bool {
    let command = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
    command
        .is_ok_and(|words| String::from_utf8_lossy(&words).contains("resource_tracker import main"))
}
