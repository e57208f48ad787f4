//! Payloads: the bytes of arrays, `bytes` objects and pickles, and where they lie.

use std::fmt;

use bytes::Bytes;

use super::owned::Owned;
use super::placed::Placed;
use crate::memory::SharedBytes;

/// Immutable bytes of a value, in this process's own memory or in shared memory that it has mapped.
///
/// Inside an encoded message, a payload is the number of a blob behind the message's body, or a
/// place in shared memory. Only the codec and the connection's exchange handle these two forms.
#[derive(Clone)]
pub struct Payload(pub(crate) Storage);

/// Number of bytes that a payload's `Debug` shows: enough to tell payloads apart without filling a
/// log.
const DEBUG_BYTES: usize = 24;

#[derive(Debug, Clone)]
pub(crate) enum Storage {
    /// Index into the blobs of the frame that carries the message.
    Blob(u32),
    /// Bytes in this process's own memory.
    Memory(Bytes),
    /// The same, whose last holder may write to them.
    Owned(Owned),
    /// Bytes in shared memory that this process has mapped.
    Shared(SharedBytes),
    /// Bytes in shared memory that are not looked up yet: the reference in the message.
    Placed(Placed),
}

impl Payload {
    /// The bytes; empty for a payload that has not been looked up.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Storage::Memory(bytes) => bytes,
            Storage::Owned(owned) => owned.as_slice(),
            Storage::Shared(shared) => shared.as_slice(),
            Storage::Blob(_) | Storage::Placed(_) => &[],
        }
    }

    /// The bytes as a reference-counted handle that keeps their memory alive.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Storage::Memory(bytes) => bytes.clone(),
            Storage::Owned(owned) => owned.to_bytes(),
            Storage::Shared(shared) => shared.to_bytes(),
            Storage::Blob(_) | Storage::Placed(_) => Bytes::new(),
        }
    }

    /// The memory handle of the payload. It is moved out, not cloned, so that the caller can check
    /// whether it is the only one.
    #[must_use]
    pub fn into_memory(self) -> PayloadMemory {
        match self.0 {
            Storage::Memory(bytes) => PayloadMemory::Private(bytes),
            Storage::Owned(owned) => PayloadMemory::Owned(owned),
            Storage::Shared(shared) => PayloadMemory::Shared(shared),
            Storage::Blob(_) | Storage::Placed(_) => PayloadMemory::Private(Bytes::new()),
        }
    }

    /// Whether the bytes lie in shared memory that this process has mapped.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Storage::Shared(_))
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Storage::Memory(bytes) => bytes.len(),
            Storage::Owned(owned) => owned.as_slice().len(),
            Storage::Shared(shared) => shared.len(),
            Storage::Placed(placed) => usize::try_from(placed.length()).unwrap_or(usize::MAX),
            Storage::Blob(_) => 0,
        }
    }

    /// True when there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The memory handle of a payload.
#[derive(Debug)]
pub enum PayloadMemory {
    /// Bytes in this process's own memory.
    Private(Bytes),
    /// The same, whose last holder may write to them.
    Owned(Owned),
    /// Bytes in shared memory.
    Shared(SharedBytes),
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Storage::Blob(a), Storage::Blob(b)) => a == b,
            (Storage::Placed(a), Storage::Placed(b)) => a == b,
            (Storage::Blob(_) | Storage::Placed(_), _)
            | (_, Storage::Blob(_) | Storage::Placed(_)) => false,
            _ => self.as_slice() == other.as_slice(),
        }
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.as_slice();
        write!(formatter, "{} bytes", self.len())?;
        let shown = &bytes[..bytes.len().min(DEBUG_BYTES)];
        shown.iter().try_for_each(|byte| write!(formatter, " {byte:02x}"))?;
        if shown.len() < self.len() { formatter.write_str(" ...") } else { Ok(()) }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self(Storage::Memory(bytes))
    }
}

impl From<Owned> for Payload {
    fn from(owned: Owned) -> Self {
        Self(Storage::Owned(owned))
    }
}

impl From<SharedBytes> for Payload {
    fn from(shared: SharedBytes) -> Self {
        Self(Storage::Shared(shared))
    }
}

impl From<Placed> for Payload {
    /// A payload that is a reference into shared memory, for peers that count leases without an
    /// exchange.
    fn from(placed: Placed) -> Self {
        Self(Storage::Placed(placed))
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Storage::Memory(bytes.into()))
    }
}

impl From<&'static [u8]> for Payload {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Storage::Memory(Bytes::from_static(bytes)))
    }
}
