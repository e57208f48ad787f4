//! Bytes in shared memory, as values hold them, with what keeps them alive and what other holders
//! may do.

use std::fmt;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::arena::{Arena, Claim};
use super::lease::Lease;
use super::segment::Segment;
use super::sync::{Arc, fence};

/// Part of a block. Clones share it; the block is not reused before the last clone is dropped.
#[derive(Clone)]
pub struct SharedBytes {
    hold: Arc<Hold>,
    offset: usize,
    length: usize,
    /// True when a holder may write while it is the only one.
    is_writable: bool,
    /// True when the owner may write while others read, see [`SharedBytes::aliased`].
    is_aliased: bool,
}

#[derive(Debug)]
pub(super) enum Hold {
    /// A block of this side's arena.
    Claim(Claim),
    /// A block that a peer has lent.
    Lease(Lease),
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} shared bytes at {}", self.length, self.offset)
    }
}

impl SharedBytes {
    /// `length` bytes of a claimed block, from `offset` in its segment on; `None` when the block
    /// does not hold them all.
    #[must_use]
    pub fn claimed(claim: Claim, offset: usize, length: usize) -> Option<Self> {
        let fits = offset >= claim.offset()
            && offset.checked_add(length)? <= claim.offset() + claim.bytes();
        fits.then(|| {
            let hold = Arc::new(Hold::Claim(claim));
            Self { hold, offset, length, is_writable: true, is_aliased: false }
        })
    }

    /// The leased bytes. The caller has checked that they lie in their segment.
    pub(crate) fn leased(lease: Lease, is_writable: bool) -> Self {
        let (offset, length) = (lease.part().start, lease.part().len());
        let hold = Arc::new(Hold::Lease(lease));
        Self { hold, offset, length, is_writable, is_aliased: false }
    }

    /// The same bytes, marked as shared by the program's own choice: all holders see what the owner
    /// writes later, and peers get the bytes read-only.
    #[must_use]
    pub fn aliased(self) -> Self {
        Self { is_aliased: true, ..self }
    }

    /// Whether the bytes are shared by the program's choice, see [`SharedBytes::aliased`].
    #[must_use]
    pub fn is_aliased(&self) -> bool {
        self.is_aliased
    }

    /// Whether a holder may write to the bytes while it is the only one.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Whether this is the only reference to the block in this process, claims outside of values
    /// included.
    #[must_use]
    pub fn is_sole(&self) -> bool {
        if Arc::strong_count(&self.hold) != 1 {
            return false;
        }
        // Orders all accesses of earlier holders before those of the caller.
        fence(Ordering::Acquire);
        match &*self.hold {
            Hold::Claim(claim) => claim.is_sole(),
            Hold::Lease(_) => true,
        }
    }

    /// `length` of these bytes, from `start` on; `None` when there are fewer.
    #[must_use]
    pub fn part(&self, start: usize, length: usize) -> Option<Self> {
        let fits = start.checked_add(length)? <= self.length;
        fits.then(|| Self { offset: self.offset + start, length, ..self.clone() })
    }

    /// The part of `length` bytes at this address; `None` when it does not lie in these bytes.
    #[must_use]
    pub fn part_at(&self, address: usize, length: usize) -> Option<Self> {
        self.part(address.checked_sub(self.address())?, length)
    }

    /// Address of the first byte.
    #[must_use]
    pub fn address(&self) -> usize {
        self.segment().address() + self.offset
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The segment of the bytes.
    #[must_use]
    pub fn segment(&self) -> &std::sync::Arc<Segment> {
        match &*self.hold {
            Hold::Claim(claim) => claim.segment(),
            Hold::Lease(lease) => lease.segment(),
        }
    }

    /// Offset of the first byte in the segment.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Whether the bytes lie in a block of this arena.
    #[must_use]
    pub fn is_of(&self, arena: &Arena) -> bool {
        matches!(&*self.hold, Hold::Claim(claim) if claim.arena().is(arena))
    }

    pub(crate) fn lease(&self) -> Option<&Lease> {
        match &*self.hold {
            Hold::Claim(_) => None,
            Hold::Lease(lease) => Some(lease),
        }
    }

    /// The bytes as a slice of the mapped segment.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        let Some(start) = self.segment().pointer(self.offset) else { return &[] };
        // SAFETY: the range was checked against the segment when this value was made, the segment
        // is mapped as long as `hold` lives, and no other holder writes to lent bytes (rule 2). A
        // holder that writes to bytes of which it is the only holder does not read them through
        // this slice meanwhile.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.length) }
    }

    /// The bytes as a reference-counted handle that keeps their block alive.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from_owner(self.clone())
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for SharedBytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for SharedBytes {}
