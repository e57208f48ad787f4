//! References from messages to payloads in shared memory.

/// A message's reference to a payload in shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// Bytes that the sender lends.
    Lent {
        /// The sender's number for the lease; never used twice on a connection.
        lease: u64,
        /// The sender's number for the segment.
        segment: u32,
        /// Offset of the first byte in the segment.
        offset: u64,
        /// Number of bytes.
        length: u64,
        /// What the receiver may do with the bytes.
        terms: LeaseTerms,
    },
    /// Bytes that the receiver had lent, all or part of them, which this message returns.
    Returned {
        /// The receiver's number for the lease, which ends here.
        lease: u64,
        /// Offset of the first byte, from the start of the lent bytes.
        offset: u64,
        /// Number of bytes.
        length: u64,
    },
}

/// What the receiver of a lease may do with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseTerms {
    /// Read and write; no other process sees the writes.
    Writable,
    /// Read only. The owner may change the bytes meanwhile.
    ReadOnly,
    /// Copy the bytes at once and return the lease.
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
