//! Descriptors, of which a process may have a limited number: shared memory leaves some of them to
//! the program that it serves.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::process::{Resource, getrlimit};

/// Of the descriptors that a process may have, one part in this many is the program's alone.
const PROGRAMS_PART: u64 = 4;

/// Whether few descriptors are left, as a new one shows, which has the lowest number that was free.
pub(super) fn are_scarce(new: &impl AsFd) -> bool {
    let number = u64::try_from(new.as_fd().as_raw_fd()).unwrap_or(0);
    let limit = getrlimit(Resource::Nofile).current;
    limit.is_some_and(|limit| number >= limit - limit / PROGRAMS_PART)
}

/// Why a segment is not made where that is so.
pub(super) fn scarcity() -> io::Error {
    io::Error::other("few of the files are left that this process may open (ulimit -n)")
}
