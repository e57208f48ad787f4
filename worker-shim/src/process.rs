//! The process around a guest: where its link is, and the watch that lets no worker outlive its
//! orchestrator, even one that is stuck inside a C function with the interpreter's lock held.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd;

/// How long a worker whose orchestrator closed the connection may take to end by itself.
const GRACE: Duration = Duration::from_millis(500);

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

/// Starts a thread that waits for the orchestrator's end of `socket` to close, and then, after a
/// grace, kills this process and, where it leads one, its process group. The thread never touches
/// the interpreter.
///
/// # Errors
/// When the socket cannot be duplicated or no thread can be had.
pub fn watch_hangup(socket: &UnixStream) -> io::Result<()> {
    let socket = OwnedFd::from(socket.try_clone()?);
    let watch = move || {
        while !has_hung_up(&socket) {}
        thread::sleep(GRACE);
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
