//! Messages about shared memory, the same in both directions, and what both sides agree on at the
//! start. Since protocol 2.

use serde::{Deserialize, Serialize};

use crate::shm::SegmentKind;

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

/// A payload in shared memory, as a message refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// Bytes that the sender lends.
    Lent {
        /// The sender's number for the lease; never used twice on a connection.
        lease: u64,
        /// The sender's number for the segment.
        segment: u32,
        /// First byte in the segment.
        offset: u64,
        /// Number of bytes.
        length: u64,
        /// What the receiver may do with them.
        terms: LeaseTerms,
    },
    /// Bytes that the receiver had lent, all or part of them, given back with this message.
    Returned {
        /// The receiver's number for the lease, which ends here.
        lease: u64,
        /// First byte, from the start of the lent bytes.
        offset: u64,
        /// Number of bytes.
        length: u64,
    },
}

/// What the receiver of a lease may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseTerms {
    /// Read and write; nobody else sees what it writes.
    Writable,
    /// Read. The owner may go on writing.
    ReadOnly,
    /// Make a copy at once and give the lease back.
    CopyOut,
}

impl Placed {
    /// Number of bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Lent { length, .. } | Self::Returned { length, .. } => *length,
        }
    }
}
