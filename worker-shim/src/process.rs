//! The worker process around a guest: taking over its link, ending in order, and the watch thread.
//! The watch thread kills what nodes have started and then the worker, once the orchestrator is gone,
//! even while a C function of a node is stuck with the interpreter's lock held.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ipc_protocol::kin::{Kin, is_resource_tracker, is_running, note_ending};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{self, Pid};
use rustix::io::ioctl_fionread;
use rustix::process::{PidfdFlags, pidfd_open};

/// Time that a worker has to end by itself after its connection closed without an `End` message, while
/// the orchestrator lives.
const GRACE: Duration = Duration::from_millis(500);
/// Time that a worker has to end after an `End` message, counted from the connection's close.
const END_GRACE: Duration = Duration::from_secs(5);
/// Time that what nodes have left running has to end after SIGTERM.
const GROUP_GRACE: Duration = Duration::from_millis(200);
/// Time between two checks whether those processes still run.
const GROUP_PAUSE: Duration = Duration::from_millis(2);

/// How long a session's end waits for the orchestrator to read what nodes have written.
const OUTPUT_GRACE: Duration = Duration::from_millis(50);
/// Time between two looks at it.
const OUTPUT_PAUSE: Duration = Duration::from_micros(200);

/// Whether the orchestrator has asked this process to end.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// Takes the link, a socket on descriptor 0, and puts `/dev/null` on descriptor 0. So no node reads
/// from the link and no child process inherits it.
///
/// # Errors
/// When descriptor 0 is not an open socket.
pub fn take_link() -> io::Result<UnixStream> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.peer_addr()?;
    unistd::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}

/// Whether this process ignores the signal, read from `/proc`; false if that cannot be read.
#[must_use]
pub fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal as i32 - 1)) != 0
}

/// Switches off the parent-death signal with which the orchestrator starts workers. The kernel keeps it
/// for each thread, so this is for the first one. From then on the watch thread ends this process,
/// because it ends first what nodes have started.
pub fn outlive_parent() {
    let _always_allowed = set_pdeathsig(None::<Signal>);
}

/// Prepares the process for an ordered end: from here on it survives the orchestrator's exit, and
/// its output goes to `/dev/null`.
pub fn begin_end() {
    IS_ENDING.store(true, Ordering::Release);
    note_ending();
    // Printing into a pipe without a reader would raise BrokenPipeError in the clean-up code.
    if let Ok(nowhere) = File::options().write(true).open("/dev/null") {
        let _stays_a_pipe = unistd::dup2_stdout(&nowhere);
        let _stays_a_pipe = unistd::dup2_stderr(&nowhere);
    }
}

/// Waits until the orchestrator has read what was written to descriptors 1 and 2, or a moment has
/// passed, so that the lines reach the session that wrote them.
pub fn await_output_read() {
    let until = Instant::now() + OUTPUT_GRACE;
    let is_unread = |pipe: BorrowedFd<'_>| ioctl_fionread(pipe).is_ok_and(|bytes| bytes > 0);
    while is_unread(io::stdout().as_fd()) || is_unread(io::stderr().as_fd()) {
        if until <= Instant::now() {
            return;
        }
        thread::sleep(OUTPUT_PAUSE);
    }
}

/// Ends what nodes have left running: SIGTERM first, then SIGKILL for what still runs after
/// `GROUP_GRACE`. The process ids in `spared` get no signal, nor do other resource trackers of
/// `multiprocessing`: those of programs end when these have ended.
pub fn end_group(spared: &[i32]) {
    let kin = Kin::own();
    let is_spared = |pid: Pid| spared.contains(&pid.as_raw()) || is_resource_tracker(pid);
    let mut others = kin.others().unwrap_or_default();
    others.retain(|pid| !is_spared(*pid) && is_running(*pid));
    for pid in &others {
        kin.signal(*pid, rustix::process::Signal::TERM);
    }
    let until = Instant::now() + GROUP_GRACE;
    while !others.is_empty() && Instant::now() < until {
        thread::sleep(GROUP_PAUSE);
        others.retain(|pid| is_running(*pid));
    }
    // Looks again: processes may have been started meanwhile.
    let _no_descriptor_is_left = kin.kill(is_spared);
}

/// Starts a thread that waits until the orchestrator, whose process id this is, has died or its end of
/// `socket` has closed. Then the thread kills this process, and first what nodes have started: at once,
/// or after `GRACE` while the orchestrator lives, or after `END_GRACE` when it has asked this process
/// to end. The thread never touches the interpreter.
///
/// # Errors
/// When the socket cannot be duplicated or the thread cannot be started.
pub fn watch_orchestrator(socket: &UnixStream, orchestrator: i32) -> io::Result<()> {
    let socket = OwnedFd::from(socket.try_clone()?);
    // While a forked child of the orchestrator holds its end of the socket, only this tells its death.
    // Without a descriptor, the socket has to do.
    let orchestrator = rustix::process::Pid::from_raw(orchestrator);
    let orchestrator = orchestrator.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let watch = move || {
        // poll(2) reports POLLHUP of a socket even if no events are requested.
        let closes = PollFd::new(socket.as_fd(), PollFlags::empty());
        let dies = orchestrator.as_ref().map(|pidfd| PollFd::new(pidfd.as_fd(), PollFlags::POLLIN));
        await_any(std::iter::once(closes).chain(dies.clone()), PollTimeout::NONE);
        if !IS_ENDING.load(Ordering::Acquire) {
            await_any(dies, PollTimeout::try_from(GRACE).unwrap_or(PollTimeout::ZERO));
        }
        if IS_ENDING.load(Ordering::Acquire) {
            thread::sleep(END_GRACE);
        }
        die();
    };
    thread::Builder::new().name("remotemedia-watch".to_owned()).spawn(watch)?;
    Ok(())
}

/// Kills this process, and first what nodes have started, after the time that it has to end. For a worker whose connection
/// is broken on its own side, for instance because a node has closed it: the watch thread, whose poll
/// keeps the socket open, learns nothing of that, and threads of nodes may keep the interpreter.
///
/// # Errors
/// When the thread cannot be started.
pub fn die_after_grace() -> io::Result<()> {
    let wait = || {
        thread::sleep(if IS_ENDING.load(Ordering::Acquire) { END_GRACE } else { GRACE });
        die();
    };
    thread::Builder::new().name("remotemedia-end".to_owned()).spawn(wait)?;
    Ok(())
}

/// Waits for the first event.
fn await_any<'a>(events: impl IntoIterator<Item = PollFd<'a>>, timeout: PollTimeout) {
    let mut events: Vec<PollFd<'a>> = events.into_iter().collect();
    while poll(&mut events, timeout) == Err(Errno::EINTR) {}
}

fn die() {
    let ourselves = unistd::getpid();
    // Resource trackers of `multiprocessing` end by themselves, when they have cleaned up.
    let swept = Kin::own().kill(is_resource_tracker);
    if swept.is_err() && unistd::getpgrp() == ourselves {
        let _no_group_left = killpg(ourselves, Signal::SIGKILL);
    }
    let _cannot_fail = kill(ourselves, Signal::SIGKILL);
}
