//! What one side writes: a ring for the blocks that flow, and for large ones a segment each, used
//! again last-freed first, because warm memory is fast memory.
//!
//! The state is in this process's heap and behind one lock, which is held for bookkeeping and for
//! making segments, never while anything else is called.

mod claim;
mod state;

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, TryLockError};

use super::fork::Generation;
use super::segment::{Segment, SegmentKind};
use super::sync::{AtomicUsize, Mutex, MutexGuard};
use state::{State, Taken};

pub use claim::Claim;
pub(crate) use state::MAX_SEGMENTS;

/// Sizes of an arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArenaOptions {
    /// Kind of its segments.
    pub kind: SegmentKind,
    /// Length of the ring, in bytes.
    pub ring_bytes: usize,
    /// Blocks above this size have a segment of their own.
    pub ring_block_max_bytes: usize,
    /// Most that all segments may have together, in bytes.
    pub max_bytes: usize,
    /// Most that freed segments may have together while they wait for their next use.
    pub idle_max_bytes: usize,
}

/// Memory to write, shared by cloning.
#[derive(Debug, Clone)]
pub struct Arena(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    kind: SegmentKind,
    /// Bounds of the addresses of all segments ever made, to tell foreign addresses without the lock.
    lowest: AtomicUsize,
    highest: AtomicUsize,
    /// When the arena was made: in a process that is forked off later it is inert.
    generation: Generation,
}

/// How much an arena holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArenaStats {
    /// Segments, the ring included.
    pub segments: usize,
    /// Their length together, in bytes.
    pub mapped_bytes: usize,
    /// The part of it that waits for its next use.
    pub idle_bytes: usize,
    /// Bytes in claimed blocks.
    pub used_bytes: usize,
}

impl Arena {
    /// An arena without a segment; they are made when they are needed.
    #[must_use]
    pub fn new(options: ArenaOptions) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(State::new(options)),
            kind: options.kind,
            lowest: AtomicUsize::new(usize::MAX),
            highest: AtomicUsize::new(0),
            generation: Generation::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.note_forks();
        state
    }

    fn is_inherited(&self) -> bool {
        self.0.generation.is_past()
    }

    /// The state to look at, also in a forked child, where a thread that is not there may hold the
    /// lock for ever: `None` then.
    fn look(&self) -> Option<MutexGuard<'_, State>> {
        if !self.is_inherited() {
            return Some(self.lock());
        }
        match self.0.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Changes the state, and unmaps what is not needed any more without the lock.
    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let unused = state.take_unused();
        drop(state);
        drop(unused);
        result
    }

    /// Kind of its segments.
    #[must_use]
    pub fn kind(&self) -> SegmentKind {
        self.0.kind
    }

    /// Whether both are the same arena.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A block of at least `bytes`, its memory in an unknown state.
    ///
    /// # Errors
    /// When the arena's limit is reached or the system has no memory. The caller does without
    /// shared memory then.
    pub fn allocate(&self, bytes: usize) -> io::Result<Claim> {
        let Taken { segment, block, bytes } = self.take_block(bytes)?;
        Ok(Claim { arena: self.clone(), segment, block, bytes })
    }

    /// As [`Arena::allocate`], but the claim is the bare address, to be given up with
    /// [`Arena::release_at`]: for allocators that know addresses only.
    ///
    /// # Errors
    /// As [`Arena::allocate`].
    pub fn allocate_address(&self, bytes: usize) -> io::Result<usize> {
        let Taken { segment, block, .. } = self.take_block(bytes)?;
        Ok(segment.address() + block)
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

    /// Whether an address may lie in one of the segments; quick, and sometimes wrongly true.
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

    /// A further claim on the block that holds `bytes` from this address on, with the offset of
    /// the address in its segment. `None` when no block does.
    #[must_use]
    pub fn claim_at(&self, address: usize, bytes: usize) -> Option<(Claim, usize)> {
        if !self.may_hold(address) || self.is_inherited() {
            return None;
        }
        let Taken { segment, block, bytes } = self.lock().claim_at(address, bytes)?;
        let offset = address - segment.address();
        Some((Claim { arena: self.clone(), segment, block, bytes }, offset))
    }

    /// Length of the block that the byte at this address is in.
    #[must_use]
    pub fn block_bytes(&self, address: usize) -> Option<usize> {
        let state = self.look()?;
        let (entry, block) = state.find(address, 0)?;
        entry.ring.block_bytes(block)
    }

    /// Gives up a claim that was kept as a bare address, see [`Arena::allocate_address`]. False when
    /// the address is not that of a block.
    pub fn release_at(&self, address: usize) -> bool {
        if !self.may_hold(address) {
            return false;
        }
        if self.is_inherited() {
            // Nothing of the parent's is given back; what is not in its segments is not ours.
            return self.look().is_none_or(|state| state.has_segment_at(address));
        }
        self.change(|state| state.release_at(address))
    }

    /// Keeps every block that is alive now from being used again, for a process that forks shares
    /// them with its child, until [`Arena::end_fork_hold`]. A fork does so by itself, for as long as
    /// there are children.
    pub fn hold_for_fork(&self) {
        if !self.is_inherited() {
            self.lock().hold_for_fork();
        }
    }

    /// Gives up what [`Arena::hold_for_fork`] keeps.
    pub fn end_fork_hold(&self) {
        if !self.is_inherited() {
            self.change(State::end_fork_hold);
        }
    }

    /// How much it holds; nothing that is known, in a forked child.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        self.look().map_or_else(ArenaStats::default, |state| state.stats())
    }
}
