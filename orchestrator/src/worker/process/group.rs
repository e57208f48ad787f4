//! A signal to all processes of a group.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;

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
