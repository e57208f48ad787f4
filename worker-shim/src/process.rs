//! The process around a guest: where its link is, how it ends in good order, and the watch that lets
//! no worker outlive its orchestrator, even one that is stuck inside a C function with the
//! interpreter's lock held.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{self, Pid};

/// How long a worker whose connection closed without notice may take to end by itself.
const GRACE: Duration = Duration::from_millis(500);
/// How long one may take that was asked to end, counted from the end of the connection.
const END_GRACE: Duration = Duration::from_secs(5);
/// How long the other processes of the group may take to end after SIGTERM.
const GROUP_GRACE: Duration = Duration::from_millis(200);
/// Time between two looks at them.
const GROUP_PAUSE: Duration = Duration::from_millis(2);

/// Whether the orchestrator asked this process to end.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// Takes the link that the orchestrator put on descriptor 0, and leaves `/dev/null` there, so that
/// no node reads from the link and no child process inherits it.
///
/// # Errors
/// When descriptor 0 is not an open socket.
pub fn take_link() -> io::Result<UnixStream> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.peer_addr()?;
    unistd::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}

/// Whether this process ignores the signal, as the kernel tells it; not where it does not.
#[must_use]
pub fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal as i32 - 1)) != 0
}

/// From now on the calling thread has this process killed when the orchestrator dies. The kernel keeps
/// the signal for each thread; the orchestrator sets it for the first one.
///
/// # Errors
/// When the kernel has no parent-death signal.
pub fn die_with_parent() -> io::Result<()> {
    Ok(set_pdeathsig(Signal::SIGKILL)?)
}

/// The calling thread no longer has this process killed when the orchestrator dies.
pub fn outlive_parent() {
    let _always_allowed = set_pdeathsig(None::<Signal>);
}

/// Readies the process for an end in good order: the orchestrator may be gone before this process is,
/// and nobody reads what it prints. Call it on the thread that has the parent-death signal.
pub fn begin_end() {
    IS_ENDING.store(true, Ordering::Release);
    outlive_parent();
    // A print into a pipe without a reader would break off the function that prints.
    if let Ok(nowhere) = File::options().write(true).open("/dev/null") {
        let _stays_a_pipe = unistd::dup2_stdout(&nowhere);
        let _stays_a_pipe = unistd::dup2_stderr(&nowhere);
    }
}

/// Ends the other processes of the group that this process leads: SIGTERM, and SIGKILL for those that
/// take too long. `spared` are left alone.
pub fn end_group(spared: &[i32]) {
    let mut others = group_members(spared);
    signal_all(&others, Signal::SIGTERM);
    let until = Instant::now() + GROUP_GRACE;
    while !others.is_empty() && Instant::now() < until {
        thread::sleep(GROUP_PAUSE);
        others.retain(|pid| is_in_group(*pid, unistd::getpid()));
    }
    // Those that were started meanwhile too.
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

/// Whether a process runs and belongs to the group; a zombie does not.
fn is_in_group(pid: Pid, group: Pid) -> bool {
    let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else { return false };
    // The name in parentheses may hold anything; behind it stand state, parent and group.
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

/// Starts a thread that waits for the orchestrator's end of `socket` to close, and then, after a
/// grace, kills this process and, where it leads one, its process group. The thread never touches
/// the interpreter.
///
/// # Errors
/// When the socket cannot be duplicated or no thread can be started.
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
    // A hang-up is reported without being asked for.
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
