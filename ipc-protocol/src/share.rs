//! Messages about shared memory, the same in both directions, and what both sides agree on at the
//! start. Since protocol 2.

use serde::{Deserialize, Serialize};

use crate::memory::SegmentKind;

/// What both sides of a connection agree on about shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryTerms {
    /// Kind of the segments.
    pub kind: SegmentKind,
    /// Payloads up to this size travel inside frames.
    pub inline_max_bytes: u64,
    /// Length of each side's ring.
    pub ring_bytes: u64,
    /// Payloads above this size have a segment of their own.
    pub ring_block_max_bytes: u64,
    /// Most shared memory that each side makes for the other.
    pub max_bytes: u64,
    /// Most of it that may lie idle, waiting for its next use.
    pub idle_max_bytes: u64,
    /// Inputs that one node may keep; above this it is given copies in its own memory.
    pub pinned_max_bytes: u64,
}

/// News about segments and leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Share {
    /// A segment to map. Its descriptor, if it has one, comes with this frame's first byte.
    Attach(Attach),
    /// A named segment is mapped: its name is no longer needed.
    Attached(u32),
    /// A segment is gone on the sender's side; the receiver may unmap it.
    Detach(u32),
    /// Leases that the sender gives back.
    Release(Vec<u64>),
}

/// A segment, as its owner announces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The sender's number for it; never used twice on a connection.
    pub segment: u32,
    /// Its length.
    pub bytes: u64,
    /// Its name; absent when it is passed by descriptor.
    pub name: Option<String>,
    /// The receiver is the one peer that the segment is made for. Others map it copy-on-write.
    pub is_paired: bool,
}
