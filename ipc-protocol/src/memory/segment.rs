//! Segments: pieces of shared memory, mapped into this process. [`SegmentKind`] lists the kinds;
//! the arena allocates blocks in them.

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::copy::copy;
use super::fork;
use super::heap::{self, HeapMemory};

/// How a segment is made and passed to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SegmentKind {
    /// A sealed memfd, passed by descriptor: without a name, so with nothing to clean up. Linux
    /// only.
    Memfd,
    /// A segment with a name, which is removed as soon as both sides have mapped the segment.
    Named,
    /// Heap memory of this process, for tests under Miri and loom.
    Heap,
}

/// How a peer's segment is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Shared, for reading and writing: for the one peer that the segment was made for.
    Shared,
    /// Copy-on-write: reads see the segment, writes go to private pages. For all other peers.
    Private,
}

/// What a process needs to map a segment.
#[derive(Debug)]
pub enum Ticket {
    /// The descriptor of a memfd.
    Descriptor(OwnedFd),
    /// The name of a named segment.
    Name(String),
    /// The memory itself, for a peer in the same process.
    Heap(Arc<HeapMemory>),
}

/// Operations that all kinds of segments have.
pub(super) trait Mapping: fmt::Debug + Send + Sync {
    /// Address of the first byte, page-aligned; constant for the segment's life.
    fn start(&self) -> NonNull<u8>;

    /// Length of the mapping, in bytes.
    fn bytes(&self) -> usize;

    /// Allocates the memory up to offset `end`, so that an access to it cannot fail.
    ///
    /// # Errors
    /// When the system does not have that much memory.
    fn reserve(&self, _end: usize) -> io::Result<()> {
        Ok(())
    }

    /// What a peer needs to map the segment.
    ///
    /// # Errors
    /// When no descriptor is left, or the name was removed.
    fn ticket(&self) -> io::Result<Ticket>;

    /// Called once both sides have mapped the segment: prevents further writable mappings.
    ///
    /// # Errors
    /// When the system refuses.
    fn seal(&self) -> io::Result<()> {
        Ok(())
    }

    /// Whether a third process can map the segment too.
    fn can_be_forwarded(&self) -> bool {
        false
    }

    /// Discards what was written to this part of an [`Access::Private`] mapping. Returns how many
    /// bytes the kernel had copied for those writes.
    ///
    /// # Errors
    /// When the writes could not be discarded. This part must not be used for other data then.
    fn forget_writes(&self, _part: Range<usize>) -> io::Result<usize> {
        Ok(0)
    }

    /// Whether this part of an [`Access::Private`] mapping has been written to.
    fn has_writes(&self, _part: Range<usize>) -> bool {
        false
    }

    /// Makes the mapping private: other processes do not see what this process writes from now on.
    ///
    /// # Errors
    /// When the system refuses; the memory then stays shared.
    fn become_private(&self) -> io::Result<()> {
        Ok(())
    }
}

/// One mapped segment; unmapped when its last reference is dropped.
#[derive(Debug)]
pub struct Segment {
    id: u64,
    memory: Box<dyn Mapping>,
}

/// The next [`Segment::id`]; no two segments of this process have the same.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
/// Number of segments that this process has dropped so far.
static GONE: AtomicUsize = AtomicUsize::new(0);

impl Segment {
    fn new(memory: Box<dyn Mapping>) -> Arc<Self> {
        let segment = Arc::new(Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), memory });
        fork::watch(&segment);
        segment
    }

    /// Number of segments that this process has dropped so far. When it has changed, a side that
    /// announced segments checks which of them are gone.
    pub(crate) fn gone() -> usize {
        // Acquire pairs with the release in `drop`: a reader of the new count also sees that the
        // segment has no references left.
        GONE.load(Ordering::Acquire)
    }

    /// Makes a segment of `bytes` (a multiple of the page size) and maps it for writing.
    ///
    /// # Errors
    /// When the system has no memory, descriptor or name left, or does not support the kind.
    pub fn create(kind: SegmentKind, bytes: usize) -> io::Result<Arc<Self>> {
        Ok(Self::new(match kind {
            #[cfg(target_os = "linux")]
            SegmentKind::Memfd => Box::new(super::memfd::Memfd::create(bytes)?),
            #[cfg(not(target_os = "linux"))]
            SegmentKind::Memfd => return Err(io::ErrorKind::Unsupported.into()),
            SegmentKind::Named => Box::new(super::named::Named::create(bytes)?),
            SegmentKind::Heap => Box::new(heap::HeapSegment::create(bytes)?),
        }))
    }

    /// Maps a segment that another process made.
    ///
    /// # Errors
    /// When the segment is not `bytes` long, could be shortened while it is mapped, or cannot be
    /// mapped.
    pub fn open(ticket: Ticket, bytes: usize, access: Access) -> io::Result<Arc<Self>> {
        let is_shared = access == Access::Shared;
        Ok(Self::new(match ticket {
            #[cfg(target_os = "linux")]
            Ticket::Descriptor(fd) => Box::new(super::memfd::Memfd::open(fd, bytes, access)?),
            Ticket::Name(name) if is_shared => Box::new(super::named::Named::open(&name, bytes)?),
            Ticket::Heap(memory) if is_shared => Box::new(heap::HeapSegment::open(memory, bytes)?),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        }))
    }

    /// Number of the segment in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Length of the segment, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Address of the first byte, with its provenance exposed, so that pointers can be made from
    /// it.
    #[must_use]
    pub fn address(&self) -> usize {
        self.memory.start().expose_provenance().get()
    }

    /// See [`Mapping::reserve`].
    pub(super) fn reserve(&self, end: usize) -> io::Result<()> {
        self.memory.reserve(end)
    }

    /// What a peer needs to map the segment too.
    ///
    /// # Errors
    /// When no descriptor is left, or the segment's name was removed.
    pub fn ticket(&self) -> io::Result<Ticket> {
        self.memory.ticket()
    }

    /// Prevents further writable mappings; to be called once both sides have mapped the segment.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn seal(&self) -> io::Result<()> {
        self.memory.seal()
    }

    /// Whether a third process can map the segment too.
    #[must_use]
    pub fn can_be_forwarded(&self) -> bool {
        self.memory.can_be_forwarded()
    }

    /// Discards what this process wrote to a part of a private mapping, see [`Access::Private`].
    /// Returns how many bytes the kernel had copied for those writes.
    ///
    /// # Errors
    /// When the writes could not be discarded.
    pub(super) fn forget_writes(&self, part: Range<usize>) -> io::Result<usize> {
        self.memory.forget_writes(part)
    }

    /// Whether this process has written to a part of a private mapping.
    pub(super) fn has_writes(&self, part: Range<usize>) -> bool {
        self.memory.has_writes(part)
    }

    /// In a forked child: makes the mapping private, so that the parent does not see the child's
    /// writes.
    pub(super) fn become_private(&self) -> io::Result<()> {
        self.memory.become_private()
    }

    /// Pointer to the byte at `offset`; `None` when `offset` lies behind the segment's end.
    pub(super) fn pointer(&self, offset: usize) -> Option<NonNull<u8>> {
        if offset > self.bytes() {
            return None;
        }
        // SAFETY: the mapping is `bytes` long, so the result lies in it or one byte past its end.
        Some(unsafe { self.memory.start().add(offset) })
    }

    /// Copies `data` to `offset`; false when it does not fit. Only for blocks that no other holder
    /// refers to.
    pub(super) fn write(&self, offset: usize, data: &[u8]) -> bool {
        let fits = offset.checked_add(data.len()).is_some_and(|end| end <= self.bytes());
        let Some(start) = self.pointer(offset).filter(|_| fits) else { return false };
        // SAFETY: the target lies in the mapping (checked above), is writable because this side
        // allocated it, and has no other reference yet (rule 2), so it cannot overlap `data`.
        let target = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), data.len()) };
        copy(data, target);
        true
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        GONE.fetch_add(1, Ordering::Release);
    }
}
