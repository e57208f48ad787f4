//! One piece of shared memory, mapped into this process. [`SegmentKind`] lists the kinds; the arena
//! decides which part of a segment is used for what.

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

/// How a segment is made and passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SegmentKind {
    /// A sealed memfd, passed by descriptor: no name, nothing to clean up. Linux.
    Memfd,
    /// A named segment, whose name is removed as soon as both sides have mapped it.
    Named,
    /// Memory of this process, for tests under Miri and loom.
    Heap,
}

/// What a mapping of a peer's segment may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read and write the memory itself: for the one peer that a segment is made for.
    Shared,
    /// Read the memory, write to pages of one's own: for everybody else.
    Private,
}

/// What another process needs to map a segment.
#[derive(Debug)]
pub enum Ticket {
    /// A descriptor.
    Descriptor(OwnedFd),
    /// A name.
    Name(String),
    /// The memory itself, within one process.
    Heap(Arc<HeapMemory>),
}

/// What the kinds of segments have in common.
pub(super) trait Memory: fmt::Debug + Send + Sync {
    /// First byte; the same for the segment's life, at least page-aligned.
    fn start(&self) -> NonNull<u8>;

    /// Length of the mapping, in bytes.
    fn bytes(&self) -> usize;

    /// Makes sure that the memory up to `end` exists, so that touching it cannot fail.
    ///
    /// # Errors
    /// When there is not that much memory.
    fn reserve(&self, _end: usize) -> io::Result<()> {
        Ok(())
    }

    /// What a peer needs to map it.
    ///
    /// # Errors
    /// When no descriptor is left, or the name is gone.
    fn ticket(&self) -> io::Result<Ticket>;

    /// Called once both sides have mapped it: nobody else can map it for writing from now on.
    ///
    /// # Errors
    /// When the system refuses.
    fn seal(&self) -> io::Result<()> {
        Ok(())
    }

    /// Whether a third process can map it too.
    fn can_be_forwarded(&self) -> bool {
        false
    }

    /// Forgets what was written to this part of an [`Access::Private`] mapping. Gives how many
    /// bytes had been copied for that.
    ///
    /// # Errors
    /// When the writes are still there: nothing else may come into this part then.
    fn forget_writes(&self, _part: Range<usize>) -> io::Result<usize> {
        Ok(0)
    }

    /// Whether something was written to this part of an [`Access::Private`] mapping.
    fn has_writes(&self, _part: Range<usize>) -> bool {
        false
    }

    /// Has what this process writes from now on be its own.
    ///
    /// # Errors
    /// When the system refuses; the memory is shared as before then.
    fn become_private(&self) -> io::Result<()> {
        Ok(())
    }
}

/// One mapped segment. It is unmapped when the last reference is gone.
#[derive(Debug)]
pub struct Segment {
    id: u64,
    memory: Box<dyn Memory>,
}

/// Segments of this process that differ have different numbers.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
/// How many segments of this process are gone again.
static GONE: AtomicUsize = AtomicUsize::new(0);

impl Segment {
    fn new(memory: Box<dyn Memory>) -> Arc<Self> {
        let segment = Arc::new(Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), memory });
        fork::watch(&segment);
        segment
    }

    /// How many segments of this process are gone again: a side that announced segments looks
    /// which are no longer there when this has changed.
    pub(crate) fn gone() -> usize {
        // A reader that sees the count also sees that the references are gone: that comes before it.
        GONE.load(Ordering::Acquire)
    }

    /// Makes a segment of `bytes` (a multiple of the page size) and maps it for writing.
    ///
    /// # Errors
    /// When the system gives no memory, descriptor or name, or has no such segments.
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
    /// When it is not `bytes` long, could be shortened while it is mapped, or cannot be mapped.
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

    /// Its number in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Length in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Address of its first byte, from which pointers may be made.
    #[must_use]
    pub fn address(&self) -> usize {
        self.memory.start().expose_provenance().get()
    }

    /// See [`Memory::reserve`].
    pub(super) fn reserve(&self, end: usize) -> io::Result<()> {
        self.memory.reserve(end)
    }

    /// What a peer needs to map it too.
    ///
    /// # Errors
    /// When no descriptor is left, or the segment's name is gone already.
    pub fn ticket(&self) -> io::Result<Ticket> {
        self.memory.ticket()
    }

    /// To be called once both sides have mapped it: nobody can map it for writing any more.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn seal(&self) -> io::Result<()> {
        self.memory.seal()
    }

    /// Whether a third process can map it too.
    #[must_use]
    pub fn can_be_forwarded(&self) -> bool {
        self.memory.can_be_forwarded()
    }

    /// Forgets what this process wrote to a part of a private mapping, see [`Access::Private`].
    /// Gives how many bytes the kernel had copied for that.
    ///
    /// # Errors
    /// When the writes are still there.
    pub(super) fn forget_writes(&self, part: Range<usize>) -> io::Result<usize> {
        self.memory.forget_writes(part)
    }

    /// Whether this process wrote to a part of a private mapping.
    pub(super) fn has_writes(&self, part: Range<usize>) -> bool {
        self.memory.has_writes(part)
    }

    /// Has what this process writes from now on be its own; for the child of a fork.
    pub(super) fn become_private(&self) -> io::Result<()> {
        self.memory.become_private()
    }

    /// Pointer to the byte at `offset`, which lies within the segment.
    pub(super) fn pointer(&self, offset: usize) -> Option<NonNull<u8>> {
        if offset > self.bytes() {
            return None;
        }
        // SAFETY: the mapping is `bytes` long, so the result lies in it or one past its end.
        Some(unsafe { self.memory.start().add(offset) })
    }

    /// Copies `data` to `offset`. Only for blocks that nobody else looks at yet; false when it
    /// does not fit.
    pub(super) fn write(&self, offset: usize, data: &[u8]) -> bool {
        let fits = offset.checked_add(data.len()).is_some_and(|end| end <= self.bytes());
        let Some(start) = self.pointer(offset).filter(|_| fits) else { return false };
        // SAFETY: the target lies in the mapping (checked above), is writable because this side
        // allocated it, and nobody refers to it yet (rule 2), so it cannot overlap `data`.
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
