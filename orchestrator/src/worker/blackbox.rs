//! The flight recorder of a worker: a file in memory that outlives the worker. In its first bytes
//! the worker notes the node that runs; `ipc_protocol::recorder` says what is written behind them
//! when it dies. The orchestrator reads it as a file and never maps it.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use bytemuck::{Zeroable, bytes_of_mut};
use ipc_protocol::FaultKind;
use ipc_protocol::recorder::{ARRAY_NODES, ARRAYS_AT, Arrays, NOTE_BYTES, PYTHON_STACK_AT};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::time::{ClockId, clock_gettime};

use super::exit::Exit;
use crate::postmortem::{self, Remains};

/// Environment variable that holds the number of the recorder's descriptor in the worker.
pub const DESCRIPTOR_VARIABLE: &str = "REMOTEMEDIA_BLACKBOX_FD";
/// The first bytes of a new recorder, for the note of the running node.
const HEAD: [u8; NOTE_BYTES] = [0; NOTE_BYTES];
/// Where the kernel's rule for core dumps is. One that begins with `|` names a program that gets
/// them, also from processes whose own limit allows none.
const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";
/// Place of the byte that says that the stacks of a worker that missed a deadline are complete.
const RECORDED_OFFSET: u64 = 48;
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

/// Calls that a worker has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Of the node that runs, in its session.
    pub of_node: u64,
    /// Of all nodes in the session.
    pub of_session: u64,
    /// Of all nodes in all sessions of the worker.
    pub of_worker: u64,
}

/// A descriptor with a number above 2. A program that has closed its standard streams gets their
/// numbers for new descriptors, but what it prints must not go into these, nor may the descriptors 0 to
/// 2 of a worker take the place of one that it inherits.
///
/// # Errors
/// When no descriptor is left.
pub fn above_standard_streams(made: OwnedFd) -> std::io::Result<OwnedFd> {
    match made.as_raw_fd() {
        0..=2 => made.try_clone(), // the standard library asks for a number above 2
        _ => Ok(made),
    }
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
        let made = memfd_create(c"remotemedia-blackbox", MFdFlags::MFD_CLOEXEC)?;
        let file = File::from(above_standard_streams(made)?);
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
        let head = self.head()?;
        let word = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let node = usize::try_from(word(0)?).ok()?.checked_sub(1)?;
        let operation = operation(word(4)?);
        let since = operation.and_then(|_| moment(number(&head, 8)?));
        Some(Note { node, operation, since })
    }

    /// The calls that have begun.
    #[must_use]
    pub fn calls(&self) -> Option<Calls> {
        let head = self.head()?;
        let [of_node, of_session, of_worker] = [16, 24, 32].map(|at| number(&head, at));
        Some(Calls { of_node: of_node?, of_session: of_session?, of_worker: of_worker? })
    }

    fn head(&self) -> Option<[u8; HEAD.len()]> {
        let mut head = HEAD;
        let mut again = head;
        // The worker may be writing: a note that reads the same twice is complete.
        for _ in 0..MAX_READS {
            self.0.read_exact_at(&mut head, 0).ok()?;
            self.0.read_exact_at(&mut again, 0).ok()?;
            if head == again {
                break;
            }
        }
        Some(head)
    }

    /// How the process ended, if it has recorded its death. The record has no word about a core
    /// dump, but may show that none was possible.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        let death = postmortem::death(&self.0)?;
        let goes_to_program =
            || std::fs::read(CORE_PATTERN).is_ok_and(|pattern| pattern.starts_with(b"|"));
        let is_possible = death.core_limit > 0 || goes_to_program();
        Some(Exit::Signal { number: death.signal, has_core: (!is_possible).then_some(false) })
    }

    /// What the worker has recorded of its death.
    #[must_use]
    pub fn remains(&self) -> Option<Remains> {
        Remains::read(&self.0)
    }

    /// The memory in the arrays of the node with this index in the session; `None` when it has none, or
    /// the worker does not count it.
    #[must_use]
    pub fn arrays(&self, node: usize) -> Option<Arrays> {
        let mut arrays = Arrays::zeroed();
        let place = bytes_of_mut(&mut arrays);
        let at = ARRAYS_AT + (node.min(ARRAY_NODES) * place.len()) as u64;
        self.0.read_exact_at(place, at).ok()?;
        Some(arrays).filter(|arrays| node < ARRAY_NODES && *arrays != Arrays::zeroed())
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
        let length = self.0.read_at(&mut bytes, PYTHON_STACK_AT).unwrap_or(0);
        bytes.truncate(length);
        // What follows the text is a hole in the file.
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).trim_end().to_owned()
    }
}

impl AsFd for Blackbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn number(head: &[u8], at: usize) -> Option<u64> {
    head.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

/// The method that workers note by this number.
fn operation(number: u32) -> Option<FaultKind> {
    match number {
        1 => Some(FaultKind::Process),
        2 => Some(FaultKind::Flush),
        3 => Some(FaultKind::Initialize),
        4 => Some(FaultKind::Cleanup),
        5 => Some(FaultKind::Checkpoint),
        6 => Some(FaultKind::Restore),
        _ => None,
    }
}

/// Converts nanoseconds of the monotonic clock, which all processes share, to a moment.
fn moment(since_ns: u64) -> Option<Instant> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).ok()?);
    Instant::now().checked_sub(now.saturating_sub(Duration::from_nanos(since_ns)))
}
