//! Messages about shared memory, the same in both directions, and the terms that both sides agree
//! on at the start. Since protocol 2.

use serde::{Deserialize, Serialize};

use crate::memory::SegmentKind;

/// Terms of a connection's shared memory, set by the orchestrator for both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryTerms {
    /// Kind of all segments of the connection.
    pub kind: SegmentKind,
    /// Payloads up to this many bytes travel inside frames.
    pub inline_max_bytes: u64,
    /// Length of each side's ring, in bytes.
    pub ring_bytes: u64,
    /// Payloads above this many bytes get a segment of their own.
    pub ring_block_max_bytes: u64,
    /// Most shared memory that each side makes for the other, in bytes.
    pub max_bytes: u64,
    /// Most of it that may lie free and wait for its next use, in bytes.
    pub idle_max_bytes: u64,
    /// Bytes of lent inputs that one node may keep; above it, the node gets copies in its worker's
    /// own memory.
    pub pinned_max_bytes: u64,
}

/// A message about segments and leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Share {
    /// Asks the receiver to map a segment. The segment's descriptor, if any, comes with the first
    /// byte of the frame.
    Attach(Attach),
    /// Answers `Attach` for a named segment: the sender has mapped it, so its name is no longer
    /// needed.
    Attached(u32),
    /// The sender has dropped a segment; the receiver may unmap it.
    Detach(u32),
    /// Leases that the sender returns.
    Release(Vec<u64>),
}

/// A segment, as its owner announces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The sender's number for the segment; never used twice on a connection.
    pub segment: u32,
    /// Length of the segment, in bytes.
    pub bytes: u64,
    /// Name of the segment; absent when it is passed by descriptor.
    pub name: Option<String>,
    /// True when the segment was made for this receiver alone, which maps it read-write. False: the
    /// receiver maps it copy-on-write.
    pub is_paired: bool,
}
