//! The flight recorder of a worker: a nameless file that the kernel keeps when the worker dies.
//! The worker notes the node that runs in its first bytes, and faulthandler writes the Python
//! stack behind them. This side reads it as a file, and never maps it.

use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;

/// Environment variable that tells the worker the recorder's descriptor.
pub const DESCRIPTOR_VARIABLE: &str = "REMOTEMEDIA_BLACKBOX_FD";
/// The first bytes, which hold the running node; the Python stack begins behind them.
const HEAD: [u8; 64] = [0; 64];
/// Signals as faulthandler names them.
const FATAL: [(&str, Signal); 5] = [
    ("Segmentation fault", Signal::SIGSEGV),
    ("Aborted", Signal::SIGABRT),
    ("Bus error", Signal::SIGBUS),
    ("Illegal instruction", Signal::SIGILL),
    ("Floating point exception", Signal::SIGFPE),
];
/// Longest stack that is read back, in bytes.
const MAX_STACK_BYTES: usize = 64 << 10;

/// The orchestrator's end of a flight recorder.
#[derive(Debug)]
pub struct Blackbox(File);

impl Blackbox {
    /// A new, empty recorder.
    ///
    /// # Errors
    /// When no memory file can be had.
    pub fn new() -> std::io::Result<Self> {
        let file = File::from(memfd_create(c"remotemedia-blackbox", MFdFlags::MFD_CLOEXEC)?);
        file.write_all_at(&HEAD, 0)?;
        Ok(Self(file))
    }

    /// The descriptor that the worker inherits.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Index of the node that ran last in its session on this worker, if one did.
    #[must_use]
    pub fn running_node(&self) -> Option<usize> {
        let mut bytes = [0; 4];
        self.0.read_exact_at(&mut bytes, 0).ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()?.checked_sub(1)
    }

    /// Number of the signal that faulthandler named, which it does for those that mean a crash.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        let stack = self.stack();
        let named = stack.lines().find_map(|line| line.strip_prefix("Fatal Python error: "))?;
        let (_, signal) = FATAL.iter().find(|(name, _)| *name == named)?;
        Some(*signal as i32)
    }

    /// What faulthandler wrote.
    #[must_use]
    pub fn stack(&self) -> String {
        let mut bytes = vec![0; MAX_STACK_BYTES];
        let length = self.0.read_at(&mut bytes, HEAD.len() as u64).unwrap_or(0);
        bytes.truncate(length);
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }
}
