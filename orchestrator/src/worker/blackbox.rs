//! The flight recorder of a worker: a file in memory that outlives the worker. In its first bytes
//! the worker notes the node that runs; behind them faulthandler writes the Python stack. The
//! orchestrator reads it as a file and never maps it.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use ipc_protocol::FaultKind;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};

/// Environment variable that holds the number of the recorder's descriptor in the worker.
pub const DESCRIPTOR_VARIABLE: &str = "REMOTEMEDIA_BLACKBOX_FD";
/// The first bytes of a new recorder, for the note of the running node. The Python stack begins
/// behind them.
const HEAD: [u8; 64] = [0; 64];
/// Place of the byte that says that the stacks of a worker that missed a deadline are complete.
const RECORDED_OFFSET: u64 = 16;
/// The names by which faulthandler reports signals.
const FATAL: [(&str, Signal); 5] = [
    ("Segmentation fault", Signal::SIGSEGV),
    ("Aborted", Signal::SIGABRT),
    ("Bus error", Signal::SIGBUS),
    ("Illegal instruction", Signal::SIGILL),
    ("Floating point exception", Signal::SIGFPE),
];
/// Longest stack that is read back, in bytes.
const MAX_STACK_BYTES: usize = 64 << 10;

/// How often a note is read at most, until two reads agree.
const MAX_READS: usize = 8;

/// What a worker has noted about the node that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// Index of the node in its session on this worker.
    pub node: usize,
    /// Which of its methods runs; `None` while the node is imported or constructed, and from
    /// workers that do not note it.
    pub operation: Option<FaultKind>,
    /// When the method was entered.
    pub since: Option<Instant>,
}

/// The orchestrator's end of a flight recorder.
#[derive(Debug)]
pub struct Blackbox(File);

impl Blackbox {
    /// A new, empty recorder.
    ///
    /// # Errors
    /// When the kernel refuses a memory file.
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

    /// The node that runs, or ran last before the worker died.
    #[must_use]
    pub fn note(&self) -> Option<Note> {
        let mut head = [0; HEAD.len()];
        let mut again = head;
        // The worker may be writing: a note that reads the same twice is complete.
        for _ in 0..MAX_READS {
            self.0.read_exact_at(&mut head, 0).ok()?;
            self.0.read_exact_at(&mut again, 0).ok()?;
            if head == again {
                break;
            }
        }
        let word = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let node = usize::try_from(word(0)?).ok()?.checked_sub(1)?;
        let operation = operation(word(4)?);
        let since_ns = head.get(8..16)?.try_into().ok().map(u64::from_le_bytes)?;
        Some(Note { node, operation, since: operation.and_then(|_| moment(since_ns)) })
    }

    /// Number of the signal that faulthandler reported. It reports only those that mean a crash.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        let stack = self.stack();
        let named = stack.lines().find_map(|line| line.strip_prefix("Fatal Python error: "))?;
        let (_, signal) = FATAL.iter().find(|(name, _)| *name == named)?;
        Some(*signal as i32)
    }

    /// Whether the worker has said that the stacks are complete that it was asked for.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        let mut byte = [0];
        self.0.read_at(&mut byte, RECORDED_OFFSET).is_ok() && byte != [0]
    }

    /// The text that faulthandler wrote: the Python stack at the time of death.
    #[must_use]
    pub fn stack(&self) -> String {
        let mut bytes = vec![0; MAX_STACK_BYTES];
        let length = self.0.read_at(&mut bytes, HEAD.len() as u64).unwrap_or(0);
        bytes.truncate(length);
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }
}

impl AsFd for Blackbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The method that workers note by this number.
fn operation(number: u32) -> Option<FaultKind> {
    match number {
        1 => Some(FaultKind::Process),
        2 => Some(FaultKind::Flush),
        3 => Some(FaultKind::Initialize),
        4 => Some(FaultKind::Cleanup),
        _ => None,
    }
}

/// Converts nanoseconds of the monotonic clock, which all processes share, to a moment.
fn moment(since_ns: u64) -> Option<Instant> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?);
    Instant::now().checked_sub(now.saturating_sub(Duration::from_nanos(since_ns)))
}
