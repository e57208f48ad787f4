//! The worker's side of its flight recorder: a memory-backed file that the orchestrator reads when
//! a call may have exceeded its deadline and when the worker has died. The first bytes, the note,
//! name the running node; `ipc_protocol::recorder` says what follows.
//!
//! All numbers are little-endian. Bytes 0 to 4: index of the node plus one. Bytes 4 to 8: number of
//! the operation. Bytes 8 to 16: when the operation began, in nanoseconds of the monotonic clock.
//! Bytes 16 to 40: calls that have begun, of this node in the session, of the session, and of the
//! worker in its life.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipc_protocol::recorder::{ARRAY_NODES, ARRAYS_AT, Arrays, PYTHON_STACK_AT};
use memmap2::{MmapMut, MmapOptions};
use nix::time::{ClockId, clock_gettime};

use crate::death;

/// Number of bytes that this module writes.
const USED_BYTES: usize = 40;

/// Which method of a node runs. `remotemedia._guest.calling` uses the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Operation {
    /// No method: the node is imported or constructed, or code outside any node runs.
    Other = 0,
    /// `process`.
    Process = 1,
    /// `flush`.
    Flush = 2,
    /// `initialize`.
    Initialize = 3,
    /// `cleanup`.
    Cleanup = 4,
    /// `checkpoint`.
    Checkpoint = 5,
    /// `restore`.
    Restore = 6,
}

impl Operation {
    /// Whether what it takes of memory is among the costs of the session's calls. What nodes take while they
    /// are made and cleaned up is not reported.
    pub(crate) fn is_counted(self) -> bool {
        !matches!(self, Self::Other | Self::Initialize | Self::Cleanup)
    }

    /// The operation with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        let all = [
            Self::Process,
            Self::Flush,
            Self::Initialize,
            Self::Cleanup,
            Self::Checkpoint,
            Self::Restore,
        ];
        all.into_iter().find(|operation| *operation as u32 == number).unwrap_or(Self::Other)
    }

    /// Whether arrays made during this operation may become outputs.
    #[must_use]
    pub fn makes_outputs(self) -> bool {
        matches!(self, Self::Process | Self::Flush)
    }
}

/// An open flight recorder.
#[derive(Debug)]
pub struct Blackbox {
    /// A mapping, because a system call for every node of a chain costs as much as a small node.
    note: MmapMut,
    /// The same moment as [`Instant`] and in nanoseconds, because `Instant` has no numeric value.
    origin: (Instant, u64),
    /// The file, until it is given to the handler of fatal signals.
    file: Option<File>,
    /// Calls of the session and of the worker that have begun.
    calls: (u64, u64),
}

impl Blackbox {
    /// Opens the recorder that this process inherited as this descriptor.
    ///
    /// # Errors
    /// When there is no such descriptor, or it is not a file that can be mapped.
    pub fn open(inherited: RawFd) -> io::Result<Self> {
        let path = format!("/proc/self/fd/{inherited}");
        let file = File::options().read(true).write(true).open(path)?;
        if file.metadata()?.len() < PYTHON_STACK_AT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // SAFETY: the file is at least as long as the mapping, and no process shortens it: the
        // orchestrator only reads it, and a node that truncates its worker's descriptors harms only
        // this process. References into the mapping live no longer than a borrow of it.
        let note = unsafe { MmapOptions::new().len(USED_BYTES).map_mut(&file)? };
        let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        let origin = (Instant::now(), nanoseconds(now));
        Ok(Self { note, origin, file: Some(file), calls: (0, 0) })
    }

    /// The places for the [`Arrays`] of nodes, mapped as long as this process lives.
    ///
    /// # Errors
    /// When the recorder cannot be mapped, or its file has been given to the handler of fatal signals.
    pub fn arrays(&self) -> io::Result<&'static [[AtomicU64; 2]; ARRAY_NODES]> {
        const BYTES: usize = ARRAY_NODES * size_of::<Arrays>();
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.set_len(file.metadata()?.len().max(ARRAYS_AT + BYTES as u64))?;
        // SAFETY: the file is long enough now, and no process shortens it, as in `open`.
        let map = unsafe { MmapOptions::new().offset(ARRAYS_AT).len(BYTES).map_mut(file)? };
        let start = Box::leak(Box::new(map)).as_mut_ptr();
        // SAFETY: the mapping is never undone, begins at a page, and has the size of this type, of
        // which zeros are values. Only these atomic numbers refer to it.
        Ok(unsafe { &*start.cast() })
    }

    /// From now on a fatal signal leaves its traces in the recorder. Call this again at times: node
    /// code may have switched off what writes them.
    pub fn record_death(&mut self) {
        match self.file.take() {
            Some(file) => {
                // A crash is reported without a C stack then.
                let _without = death::record_in(file);
            }
            None => death::renew(),
        }
    }

    /// Resets the note: no node of the session has run yet.
    pub fn clear(&mut self) {
        self.leave();
        self.words().0.store(0, Ordering::Release);
        self.calls.0 = 0;
        self.note_calls(0);
    }

    /// Notes that a call of the running node, or of the node that runs next, begins; `calls` is the
    /// number of its calls in the session.
    pub fn count_call(&mut self, calls: u64) {
        self.calls = (self.calls.0 + 1, self.calls.1 + 1);
        self.note_calls(calls);
    }

    /// Notes how many calls of the node that runs next have begun in the session.
    pub fn note_calls(&mut self, of_node: u64) {
        let (of_session, of_worker) = self.calls;
        for (place, count) in self.counters().into_iter().zip([of_node, of_session, of_worker]) {
            place.store(count.to_le(), Ordering::Release);
        }
    }

    /// Notes the running node by its index in the session, its operation, and when that began.
    pub fn enter(&mut self, node: usize, operation: Operation, since: Instant) {
        let (origin, origin_ns) = self.origin;
        let since_ns =
            origin_ns.saturating_add(nanoseconds(since.saturating_duration_since(origin)));
        let number = u32::try_from(node + 1).unwrap_or(u32::MAX);
        let (node, noted, since) = self.words();
        // Readers ignore the note while the operation is `Other`, so no mixture of the old and the
        // new note is read.
        noted.store(Operation::Other as u32, Ordering::Release);
        since.store(since_ns.to_le(), Ordering::Release);
        node.store(number.to_le(), Ordering::Release);
        noted.store((operation as u32).to_le(), Ordering::Release);
    }

    /// Notes that the node has returned or yielded.
    pub fn leave(&mut self) {
        self.words().1.store(Operation::Other as u32, Ordering::Release);
    }

    /// The node's number, the operation, and when it began.
    fn words(&mut self) -> (&AtomicU32, &AtomicU32, &AtomicU64) {
        let start = self.note.as_mut_ptr();
        // SAFETY: a mapping begins at a page, so all three numbers are aligned, and they lie inside
        // its `USED_BYTES`. This process accesses the bytes only through these references, and they
        // do not outlive the borrow of the mapping.
        unsafe {
            (
                AtomicU32::from_ptr(start.cast()),
                AtomicU32::from_ptr(start.add(4).cast()),
                AtomicU64::from_ptr(start.add(8).cast()),
            )
        }
    }

    fn counters(&mut self) -> [&AtomicU64; 3] {
        let start = self.note.as_mut_ptr();
        // SAFETY: as in `words`.
        [16, 24, 32].map(|at| unsafe { AtomicU64::from_ptr(start.add(at).cast()) })
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
