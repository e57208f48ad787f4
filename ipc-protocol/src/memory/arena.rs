//! The allocator of one side. Small blocks share a segment (the ring); each large block has a
//! segment of its own. The segment that was freed last is reused first, because its memory is still
//! in the caches.
//!
//! The state lies in this process's heap behind one lock, which is held only for bookkeeping and
//! for making segments.

mod claim;
mod state;

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, TryLockError};

use super::fork::Generation;
use super::segment::{Segment, SegmentKind};
use super::sync::{AtomicUsize, Mutex, MutexGuard};
use state::{ArenaState, Taken};

pub use claim::Claim;
pub(crate) use state::MAX_SEGMENTS;

/// Kind and sizes of an arena's segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArenaOptions {
    /// Kind of the arena's segments.
    pub kind: SegmentKind,
    /// Length of the ring, in bytes.
    pub ring_bytes: usize,
    /// Blocks above this many bytes get a segment of their own.
    pub ring_block_max_bytes: usize,
    /// Largest total length of all segments, in bytes.
    pub max_bytes: usize,
    /// Largest total length of freed segments that are kept for their next use, in bytes.
    pub idle_max_bytes: usize,
}

/// An allocator of shared memory. Clones are handles to the same arena.
#[derive(Debug, Clone)]
pub struct Arena(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<ArenaState>,
    kind: SegmentKind,
    /// Lowest and highest address of all segments ever made, to recognise foreign addresses without
    /// the lock.
    lowest: AtomicUsize,
    highest: AtomicUsize,
    /// Process in which the arena was made, counted in forks: in a forked child the arena does
    /// nothing.
    generation: Generation,
}

/// Sizes of what an arena holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArenaStats {
    /// Number of segments, the ring included.
    pub segments: usize,
    /// Total length of the segments, in bytes.
    pub mapped_bytes: usize,
    /// Total length of the freed segments among them, in bytes.
    pub idle_bytes: usize,
    /// Total length of the claimed blocks, in bytes.
    pub used_bytes: usize,
}

impl Arena {
    /// An arena without segments; they are made when needed.
    #[must_use]
    pub fn new(options: ArenaOptions) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(ArenaState::new(options)),
            kind: options.kind,
            lowest: AtomicUsize::new(usize::MAX),
            highest: AtomicUsize::new(0),
            generation: Generation::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, ArenaState> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.note_forks();
        state
    }

    fn is_inherited(&self) -> bool {
        self.0.generation.is_past()
    }

    /// The state for reading. `None` in a forked child whose lock was taken at the fork, because
    /// the thread that would release it exists only in the parent.
    fn look(&self) -> Option<MutexGuard<'_, ArenaState>> {
        if !self.is_inherited() {
            return Some(self.lock());
        }
        match self.0.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Changes the state; then releases the lock and unmaps the segments that are not needed any
    /// more.
    fn change<R>(&self, change: impl FnOnce(&mut ArenaState) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let unused = state.take_unused();
        drop(state);
        drop(unused);
        result
    }

    /// Kind of the arena's segments.
    #[must_use]
    pub fn kind(&self) -> SegmentKind {
        self.0.kind
    }

    /// Whether `other` is a handle to the same arena.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Allocates a block of at least `bytes`. Its content is unspecified.
    ///
    /// # Errors
    /// When the arena's limit is reached or the system has no memory left. The caller then uses
    /// ordinary memory.
    pub fn allocate(&self, bytes: usize) -> io::Result<Claim> {
        let Taken { segment, block, bytes } = self.take_block(bytes)?;
        Ok(Claim { arena: self.clone(), segment, block, bytes })
    }

    /// As [`Arena::allocate`], but returns only the block's address and its length, in bytes. The
    /// caller ends its claim with [`Arena::release_at`]. For allocators that keep only addresses.
    ///
    /// # Errors
    /// As [`Arena::allocate`].
    pub fn allocate_address(&self, bytes: usize) -> io::Result<(usize, usize)> {
        let Taken { segment, block, bytes } = self.take_block(bytes)?;
        Ok((segment.address() + block, bytes))
    }

    fn take_block(&self, bytes: usize) -> io::Result<Taken> {
        if self.is_inherited() {
            return Err(io::Error::other("the arena belongs to the parent process"));
        }
        let taken = self.change(|state| {
            state.end_needless_hold();
            state.allocate(bytes)
        })?;
        let start = taken.segment.address();
        self.0.lowest.fetch_min(start, Ordering::Relaxed);
        self.0.highest.fetch_max(start + taken.segment.bytes(), Ordering::Relaxed);
        Ok(taken)
    }

    /// Whether an address may lie in one of the segments: a quick check without the lock, which may
    /// be true for a foreign address.
    #[must_use]
    pub fn may_hold(&self, address: usize) -> bool {
        address >= self.0.lowest.load(Ordering::Relaxed)
            && address < self.0.highest.load(Ordering::Relaxed)
    }

    /// Whether the byte at this address is in a block of this arena.
    #[must_use]
    pub fn holds(&self, address: usize) -> bool {
        self.may_hold(address) && self.look().is_none_or(|state| state.find(address, 0).is_some())
    }

    /// Another claim on the block that holds `bytes` from this address on, with the offset of the
    /// address in its segment. `None` when no block holds them.
    #[must_use]
    pub fn claim_at(&self, address: usize, bytes: usize) -> Option<(Claim, usize)> {
        if !self.may_hold(address) || self.is_inherited() {
            return None;
        }
        let Taken { segment, block, bytes } = self.lock().claim_at(address, bytes)?;
        let offset = address - segment.address();
        Some((Claim { arena: self.clone(), segment, block, bytes }, offset))
    }

    /// Length of the block that holds the byte at this address, in bytes.
    #[must_use]
    pub fn block_bytes(&self, address: usize) -> Option<usize> {
        let state = self.look()?;
        let (entry, block) = state.find(address, 0)?;
        entry.ring.block_bytes(block)
    }

    /// Ends a claim that was kept as an address, see [`Arena::allocate_address`]. Returns the length
    /// of the block, in bytes; `None` when no block holds the address.
    pub fn release_at(&self, address: usize) -> Option<usize> {
        if !self.may_hold(address) {
            return None;
        }
        if self.is_inherited() {
            // The parent's blocks are not freed here. The answer only says whether the address lies
            // in one of its segments.
            let is_ours = self.look().is_none_or(|state| state.has_segment_at(address));
            return is_ours.then_some(0);
        }
        self.change(|state| state.release_at(address))
    }

    /// Keeps all blocks that are claimed now from being reused until [`Arena::end_fork_hold`],
    /// because a forked child shares them. Without this call, a fork keeps them only until its
    /// children have ended.
    pub fn hold_for_fork(&self) {
        if !self.is_inherited() {
            self.lock().hold_for_fork();
        }
    }

    /// Ends the hold of [`Arena::hold_for_fork`].
    pub fn end_fork_hold(&self) {
        if !self.is_inherited() {
            self.change(ArenaState::end_fork_hold);
        }
    }

    /// Sizes of what the arena holds; zeros in a forked child whose lock was taken at the fork.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        self.look().map_or_else(ArenaStats::default, |state| state.stats())
    }
}
