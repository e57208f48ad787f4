//! File descriptors: shared memory leaves a part of those that a process may open to the rest of
//! the program.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::process::{Resource, getrlimit};

/// Shared memory leaves one part in this many of the process's descriptors to the program.
const PROGRAMS_PART: u64 = 4;

/// Whether few descriptors are left. A new descriptor shows that, because it gets the lowest free
/// number.
pub(super) fn are_scarce(new: &impl AsFd) -> bool {
    let number = u64::try_from(new.as_fd().as_raw_fd()).unwrap_or(0);
    let limit = getrlimit(Resource::Nofile).current;
    limit.is_some_and(|limit| number >= limit - limit / PROGRAMS_PART)
}

/// The error with which a segment is refused when descriptors are scarce.
pub(super) fn scarcity() -> io::Error {
    io::Error::other("this process uses three quarters of its limit on open files (ulimit -n)")
}
