//! Bytes in shared memory, as values hold them: who keeps them alive, and who else may look.

use std::fmt;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::arena::{Arena, Claim};
use super::lease::Lease;
use super::segment::Segment;
use super::sync::{Arc, fence};

/// Part of a block, shared by cloning. The block is not used again before the last clone is gone.
#[derive(Clone)]
pub struct SharedBytes {
    hold: Arc<Hold>,
    offset: usize,
    length: usize,
    /// The holder may write, if nobody else holds the bytes.
    is_writable: bool,
    /// Somebody else may write while we look, with everybody's consent.
    is_aliased: bool,
}

#[derive(Debug)]
pub(super) enum Hold {
    /// A block of our own.
    Claim(Claim),
    /// A block of a peer.
    Lease(Lease),
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} shared bytes at {}", self.length, self.offset)
    }
}

impl SharedBytes {
    /// `length` bytes of a claimed block, from `offset` in its segment on; `None` when they do not
    /// lie in the block.
    #[must_use]
    pub fn claimed(claim: Claim, offset: usize, length: usize) -> Option<Self> {
        let fits = offset >= claim.offset()
            && offset.checked_add(length)? <= claim.offset() + claim.bytes();
        fits.then(|| {
            let hold = Arc::new(Hold::Claim(claim));
            Self { hold, offset, length, is_writable: true, is_aliased: false }
        })
    }

    /// The leased bytes, whose place was checked against their segment.
    pub(crate) fn leased(lease: Lease, is_writable: bool) -> Self {
        let (offset, length) = (lease.part().start, lease.part().len());
        let hold = Arc::new(Hold::Lease(lease));
        Self { hold, offset, length, is_writable, is_aliased: false }
    }

    /// The same bytes for a program that shares them knowingly: nobody else gets to write them,
    /// but they change under everybody when their owner writes.
    #[must_use]
    pub fn aliased(self) -> Self {
        Self { is_aliased: true, ..self }
    }

    /// Whether they are shared knowingly, see [`SharedBytes::aliased`].
    #[must_use]
    pub fn is_aliased(&self) -> bool {
        self.is_aliased
    }

    /// Whether a holder may write to them while nobody else holds them.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Whether nobody else in this process refers to the block, not even outside of values.
    #[must_use]
    pub fn is_sole(&self) -> bool {
        if Arc::strong_count(&self.hold) != 1 {
            return false;
        }
        // What others did with the bytes before they let go of them comes before what is done now.
        fence(Ordering::Acquire);
        match &*self.hold {
            Hold::Claim(claim) => claim.is_sole(),
            Hold::Lease(_) => true,
        }
    }

    /// `length` of these bytes from `start` on; `None` when there are not as many.
    #[must_use]
    pub fn part(&self, start: usize, length: usize) -> Option<Self> {
        let fits = start.checked_add(length)? <= self.length;
        fits.then(|| Self { offset: self.offset + start, length, ..self.clone() })
    }

    /// The part that begins at this address; `None` when it does not lie in these bytes.
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

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The segment that they are in.
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

    /// Whether they lie in a block of this arena.
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

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        let Some(start) = self.segment().pointer(self.offset) else { return &[] };
        // SAFETY: the range was checked against the segment when this was made, the segment is
        // mapped as long as `hold` lives, and nobody writes to lent bytes (rule 2). A holder that
        // writes to its own sole bytes does not look at them through this slice meanwhile.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), self.length) }
    }

    /// The bytes as a handle that keeps them alive.
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
