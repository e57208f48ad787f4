//! The worker's side of its flight recorder: a file in memory that the orchestrator reads when a
//! call may have taken too long, and when the worker has died. Its first bytes hold the node that
//! runs; what else stands in it (the Python stack) is written by the interpreter itself.
//!
//! Bytes 0 to 4 hold the number of the node plus one, 4 to 8 the number of the operation, 8 to 16 when
//! it was entered, in nanoseconds of the monotonic clock; all little-endian.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memmap2::{MmapMut, MmapOptions};
use nix::time::{ClockId, clock_gettime};

/// Where the interpreter writes; the bytes before it are this module's.
pub const STACK_OFFSET: u64 = 64;
/// What this module writes.
const NOTE_BYTES: usize = 16;

/// Which code of a node runs. The numbers are those of `remotemedia._guest.calling` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Operation {
    /// It is imported or constructed, or something around it runs.
    Other = 0,
    /// `process`.
    Process = 1,
    /// `flush`.
    Flush = 2,
    /// `initialize`.
    Initialize = 3,
    /// `cleanup`.
    Cleanup = 4,
}

impl Operation {
    /// The operation with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        let all = [Self::Process, Self::Flush, Self::Initialize, Self::Cleanup];
        all.into_iter().find(|operation| *operation as u32 == number).unwrap_or(Self::Other)
    }

    /// Whether what it makes may be an output.
    #[must_use]
    pub fn makes_outputs(self) -> bool {
        matches!(self, Self::Process | Self::Flush)
    }
}

/// An open flight recorder.
#[derive(Debug)]
pub struct Blackbox {
    /// Mapped, because a system call for every node of a chain costs as much as a small node.
    note: MmapMut,
    /// One moment on both clocks: that of [`Instant`] does not tell its numbers.
    origin: (Instant, u64),
}

impl Blackbox {
    /// Opens the recorder that was inherited under this number.
    ///
    /// # Errors
    /// When there is no such descriptor, or it is no file that can be mapped.
    pub fn open(inherited: RawFd) -> io::Result<Self> {
        let path = format!("/proc/self/fd/{inherited}");
        let file = File::options().read(true).write(true).open(path)?;
        if file.metadata()?.len() < STACK_OFFSET {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // SAFETY: the file is as long as what is mapped, and nobody shortens it: the orchestrator
        // only reads it, and a node that truncates its worker's descriptors harms this process
        // alone. References into it live as long as a borrow of it.
        let note = unsafe { MmapOptions::new().len(NOTE_BYTES).map_mut(&file)? };
        let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        Ok(Self { note, origin: (Instant::now(), nanoseconds(now)) })
    }

    /// No node of the session has run.
    pub fn clear(&mut self) {
        self.leave();
        self.words().0.store(0, Ordering::Release);
    }

    /// Notes the index of the node that runs in its session, and since when.
    pub fn enter(&mut self, node: usize, operation: Operation, since: Instant) {
        let (origin, origin_ns) = self.origin;
        let since_ns =
            origin_ns.saturating_add(nanoseconds(since.saturating_duration_since(origin)));
        let number = u32::try_from(node + 1).unwrap_or(u32::MAX);
        let (node, noted, since) = self.words();
        // Without an operation the rest is not read: it may be half old, half new.
        noted.store(Operation::Other as u32, Ordering::Release);
        since.store(since_ns.to_le(), Ordering::Release);
        node.store(number.to_le(), Ordering::Release);
        noted.store((operation as u32).to_le(), Ordering::Release);
    }

    /// Notes that the node has handed over.
    pub fn leave(&mut self) {
        self.words().1.store(Operation::Other as u32, Ordering::Release);
    }

    /// Node, operation, moment.
    fn words(&mut self) -> (&AtomicU32, &AtomicU32, &AtomicU64) {
        let start = self.note.as_mut_ptr();
        // SAFETY: a mapping begins at a page, so all three are aligned, and they lie inside its
        // `NOTE_BYTES`. This process uses the bytes through these references alone, and they do not
        // outlive the borrow of the mapping.
        unsafe {
            (
                AtomicU32::from_ptr(start.cast()),
                AtomicU32::from_ptr(start.add(4).cast()),
                AtomicU64::from_ptr(start.add(8).cast()),
            )
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
