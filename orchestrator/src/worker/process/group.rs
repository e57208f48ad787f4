//! A signal to all processes of a group; the memory of an ended process.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{UsageWho, getrusage};

/// Signals the process group of the process that `pidfd` refers to, also after it was reaped. No id
/// is used that another group might have by now. `EINVAL` before Linux 6.9.
pub(super) fn pidfd_signal_group(
    pidfd: BorrowedFd<'_>,
    signal: rustix::process::Signal,
) -> nix::Result<()> {
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

/// Highest resident memory of an ended child that was not reaped, in bytes; 0 when unknown. Before
/// its program began, the child was a copy of this process, and that counts: up to our own highest,
/// the number says nothing about the child.
pub(super) fn peak_memory(pidfd: BorrowedFd<'_>) -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes the usage, and no other memory, as there is a null for the status.
    let waited = unsafe {
        let nothing = std::ptr::null_mut::<libc::siginfo_t>();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        let (kind, pidfd) = (libc::P_PIDFD, pidfd.as_raw_fd());
        libc::syscall(libc::SYS_waitid, kind, pidfd, nothing, options, usage.as_mut_ptr())
    };
    // SAFETY: zeroes are a valid usage, also when the kernel wrote nothing.
    let of_child = unsafe { usage.assume_init() }.ru_maxrss;
    let own = getrusage(UsageWho::RUSAGE_SELF).map_or(libc::c_long::MAX, |own| own.max_rss());
    if waited < 0 || of_child <= own { 0 } else { of_child.unsigned_abs() << 10 }
}
