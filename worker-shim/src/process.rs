//! The worker process around a guest: taking over its link, ending in order, and the watch thread.
//! The watch thread kills the worker after its orchestrator is gone, even while a C function of a
//! node is stuck with the interpreter's lock held.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{self, Pid};
use rustix::io::ioctl_fionread;

/// Time that a worker has to end by itself after its connection closed without an `End` message.
const GRACE: Duration = Duration::from_millis(500);
/// Time that a worker has to end after an `End` message, counted from the connection's close.
const END_GRACE: Duration = Duration::from_secs(5);
/// Time that the other processes of the group have to end after SIGTERM.
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

/// Has the kernel kill this process when the orchestrator dies. The kernel keeps this setting for
/// each thread; the orchestrator makes it for the first thread only.
///
/// # Errors
/// When the kernel has no parent-death signal.
pub fn die_with_parent() -> io::Result<()> {
    Ok(set_pdeathsig(Signal::SIGKILL)?)
}

/// Undoes [`die_with_parent`] for the calling thread.
pub fn outlive_parent() {
    let _always_allowed = set_pdeathsig(None::<Signal>);
}

/// Prepares the process for an ordered end: from here on it survives the orchestrator's exit, and
/// its output goes to `/dev/null`. Call this on the thread that has the parent-death signal.
pub fn begin_end() {
    IS_ENDING.store(true, Ordering::Release);
    outlive_parent();
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

/// Ends the other processes of the group that this process leads: SIGTERM first, then SIGKILL for
/// those that still run after `GROUP_GRACE`. The process ids in `spared` get no signal.
pub fn end_group(spared: &[i32]) {
    let mut others = group_members(spared);
    signal_all(&others, Signal::SIGTERM);
    let until = Instant::now() + GROUP_GRACE;
    while !others.is_empty() && Instant::now() < until {
        thread::sleep(GROUP_PAUSE);
        others.retain(|pid| is_in_group(*pid, unistd::getpid()));
    }
    // Lists the group again: processes may have been started meanwhile.
    signal_all(&group_members(spared), Signal::SIGKILL);
}

fn group_members(spared: &[i32]) -> Vec<Pid> {
    let ourselves = unistd::getpid();
    if unistd::getpgrp() != ourselves {
        return Vec::new();
    }
    let Ok(listed) = fs::read_dir("/proc") else { return Vec::new() };
    listed
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| !spared.contains(number))
        .map(Pid::from_raw)
        .filter(|pid| *pid != ourselves && is_in_group(*pid, ourselves))
        .collect()
}

/// Whether a process belongs to the group and is not a zombie.
fn is_in_group(pid: Pid, group: Pid) -> bool {
    let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else { return false };
    // The fields after the name, which is in parentheses and may contain any bytes, are state,
    // parent and group.
    let name_end = stat.iter().rposition(|byte| *byte == b')').map_or(0, |place| place + 1);
    let behind = String::from_utf8_lossy(&stat[name_end..]);
    let mut fields = behind.split_whitespace();
    let is_dead = fields.next().is_none_or(|state| state == "Z" || state == "X");
    !is_dead && fields.nth(1).and_then(|number| number.parse().ok()) == Some(group.as_raw())
}

fn signal_all(pids: &[Pid], signal: Signal) {
    for pid in pids {
        let _already_gone = kill(*pid, signal);
    }
}

/// Starts a thread that waits until the orchestrator's end of `socket` closes. After `GRACE` or
/// `END_GRACE` the thread kills this process, and its process group if this process leads one.
/// The thread never touches the interpreter.
///
/// # Errors
/// When the socket cannot be duplicated or the thread cannot be started.
pub fn watch_hangup(socket: &UnixStream) -> io::Result<()> {
    let socket = OwnedFd::from(socket.try_clone()?);
    let watch = move || {
        while !has_hung_up(&socket) {}
        thread::sleep(GRACE);
        if IS_ENDING.load(Ordering::Acquire) {
            thread::sleep(END_GRACE.saturating_sub(GRACE));
        }
        die();
    };
    thread::Builder::new().name("remotemedia-watch".to_owned()).spawn(watch)?;
    Ok(())
}

fn has_hung_up(socket: &OwnedFd) -> bool {
    // poll(2) reports POLLHUP even if no events are requested.
    let mut watched = [PollFd::new(socket.as_fd(), PollFlags::empty())];
    match poll(&mut watched, PollTimeout::NONE) {
        Ok(_) => watched[0].any().unwrap_or(true),
        Err(error) => error != Errno::EINTR,
    }
}

fn die() {
    let ourselves = unistd::getpid();
    if unistd::getpgrp() == ourselves {
        let _no_group_left = killpg(ourselves, Signal::SIGKILL);
    }
    let _cannot_fail = kill(ourselves, Signal::SIGKILL);
}
