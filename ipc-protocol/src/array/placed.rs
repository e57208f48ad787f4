//! Payloads in shared memory, as a message refers to them.

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
