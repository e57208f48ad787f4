//! What one side writes: a ring for the blocks that flow, and for large ones a segment each, used
//! again last-freed first, because warm memory is fast memory.
//!
//! The state is in this process's heap and behind one lock, which is held for bookkeeping and for
//! making segments, never while anything else is called.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ring::Ring;
use super::segment::{Segment, SegmentKind};

/// Blocks start at multiples of this many bytes: a page, so that no two share one.
pub(super) const BLOCK_ALIGNMENT: usize = 4096;
/// Own segments come in sizes of four steps per power of two, from this size on.
const SMALLEST_CLASS_BYTES: usize = 64 << 10;

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
    options: ArenaOptions,
    state: Mutex<State>,
    /// Bounds of the addresses of all segments ever made, to tell foreign addresses without the lock.
    lowest: AtomicUsize,
    highest: AtomicUsize,
    /// The fork generation in which the arena was made; in a later one it is inert.
    generation: u64,
}

#[derive(Debug, Default)]
struct State {
    /// By address.
    segments: BTreeMap<usize, Entry>,
    /// Address of the ring.
    ring: Option<usize>,
    /// Addresses of free own segments by size, the last freed at the end.
    idle: BTreeMap<usize, Vec<usize>>,
    mapped_bytes: usize,
    idle_bytes: usize,
    used_bytes: usize,
    /// Claims that hold what was alive when the process forked: `(address, block)`.
    held_for_fork: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Entry {
    segment: Arc<Segment>,
    ring: Ring,
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
    /// Bytes in blocks that somebody claims.
    pub used_bytes: usize,
}

/// Counts forks: memory shared with a parent process is the parent's to manage.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// To be called in the child after a fork: arenas that it inherited give nothing and take nothing
/// back from now on, for their memory is the parent's too.
pub fn forked_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// A claim on a block: as long as it lives the block is not used again.
#[derive(Debug)]
pub struct Claim {
    arena: Arena,
    segment: Arc<Segment>,
    block: usize,
}

impl Arena {
    /// An arena without a segment; they are made when they are needed.
    #[must_use]
    pub fn new(options: ArenaOptions) -> Self {
        Self(Arc::new(Inner {
            options,
            state: Mutex::default(),
            lowest: AtomicUsize::new(usize::MAX),
            highest: AtomicUsize::new(0),
            generation: GENERATION.load(Ordering::Relaxed),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_inherited(&self) -> bool {
        self.0.generation != GENERATION.load(Ordering::Relaxed)
    }

    /// Kind of its segments.
    #[must_use]
    pub fn kind(&self) -> SegmentKind {
        self.0.options.kind
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
        let (segment, block) = self.take_block(bytes)?;
        Ok(Claim { arena: self.clone(), segment, block })
    }

    /// As [`Arena::allocate`], but the claim is the bare address, to be given up with
    /// [`Arena::release_at`]: for allocators that know addresses only.
    ///
    /// # Errors
    /// As [`Arena::allocate`].
    pub fn allocate_address(&self, bytes: usize) -> io::Result<usize> {
        let (segment, block) = self.take_block(bytes)?;
        Ok(segment.address() + block)
    }

    fn take_block(&self, bytes: usize) -> io::Result<(Arc<Segment>, usize)> {
        if self.is_inherited() {
            return Err(io::Error::other("the arena belongs to the parent process"));
        }
        let options = &self.0.options;
        let mut state = self.lock();
        if bytes <= options.ring_block_max_bytes.min(options.ring_bytes)
            && let Some(found) = self.in_ring(&mut state, bytes)?
        {
            return Ok(found);
        }
        Ok((self.own_segment(&mut state, class_of(bytes)?)?, 0))
    }

    fn in_ring(
        &self,
        state: &mut State,
        bytes: usize,
    ) -> io::Result<Option<(Arc<Segment>, usize)>> {
        let address = match state.ring {
            Some(address) => address,
            None => {
                let address = self.add_segment(state, self.0.options.ring_bytes)?;
                *state.ring.insert(address)
            }
        };
        let Some(entry) = state.segments.get_mut(&address) else { return Ok(None) };
        let Some(offset) = entry.ring.allocate(bytes) else { return Ok(None) };
        let length = entry.ring.block_bytes(offset).unwrap_or(0);
        if let Err(error) = entry.segment.reserve(offset + length) {
            entry.ring.release(offset);
            return Err(error);
        }
        let segment = Arc::clone(&entry.segment);
        state.used_bytes += length;
        Ok(Some((segment, offset)))
    }

    fn own_segment(&self, state: &mut State, class: usize) -> io::Result<Arc<Segment>> {
        let idle = state.idle.get_mut(&class).and_then(Vec::pop);
        let address = match idle {
            Some(address) => {
                state.idle_bytes -= class;
                address
            }
            None => self.add_segment(state, class)?,
        };
        let Some(entry) = state.segments.get_mut(&address) else {
            return Err(io::Error::other("the segment is gone"));
        };
        if let Err(error) = entry.segment.reserve(class) {
            state.remove(address);
            return Err(error);
        }
        entry.ring.allocate(class);
        let segment = Arc::clone(&entry.segment);
        state.used_bytes += class;
        Ok(segment)
    }

    /// Makes a segment, after giving up idle ones where the limit needs it: its address.
    fn add_segment(&self, state: &mut State, bytes: usize) -> io::Result<usize> {
        let bytes =
            bytes.checked_next_multiple_of(BLOCK_ALIGNMENT).ok_or(io::ErrorKind::OutOfMemory)?;
        let limit = self.0.options.max_bytes;
        while state.mapped_bytes.saturating_add(bytes) > limit && state.drop_idle() {}
        if state.mapped_bytes.saturating_add(bytes) > limit {
            let message = format!("the limit of {limit} bytes of shared memory is reached");
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, message));
        }
        let segment = Segment::create(self.0.options.kind, bytes)?;
        let address = segment.address();
        self.0.lowest.fetch_min(address, Ordering::Relaxed);
        self.0.highest.fetch_max(address + bytes, Ordering::Relaxed);
        let ring = Ring::new(bytes, BLOCK_ALIGNMENT);
        state.segments.insert(address, Entry { segment, ring });
        state.mapped_bytes += bytes;
        Ok(address)
    }

    /// Whether an address may lie in one of the segments; quick, and sometimes wrongly true.
    #[must_use]
    pub fn may_hold(&self, address: usize) -> bool {
        address >= self.0.lowest.load(Ordering::Relaxed)
            && address < self.0.highest.load(Ordering::Relaxed)
    }

    /// Where an address lies: its segment, and the block that holds `bytes` from there on.
    fn find(state: &State, address: usize, bytes: usize) -> Option<(&Entry, usize)> {
        let (&start, entry) = state.segments.range(..=address).next_back()?;
        let block = entry.ring.block_of(address - start, bytes)?;
        Some((entry, block))
    }

    /// Whether the byte at this address is in a block of this arena.
    #[must_use]
    pub fn holds(&self, address: usize) -> bool {
        self.may_hold(address) && Self::find(&self.lock(), address, 0).is_some()
    }

    /// A further claim on the block that holds `bytes` from this address on, with the offset of
    /// the address in its segment. `None` when no block does.
    #[must_use]
    pub fn claim_at(&self, address: usize, bytes: usize) -> Option<(Claim, usize)> {
        if !self.may_hold(address) || self.is_inherited() {
            return None;
        }
        let mut state = self.lock();
        let (entry, block) = Self::find(&state, address, bytes)?;
        let segment = Arc::clone(&entry.segment);
        let start = segment.address();
        state.segments.get_mut(&start)?.ring.claim(block);
        drop(state);
        Some((Claim { arena: self.clone(), segment, block }, address - start))
    }

    /// Length of the block at this address, which is where a block starts.
    #[must_use]
    pub fn block_bytes(&self, address: usize) -> Option<usize> {
        let state = self.lock();
        let (entry, block) = Self::find(&state, address, 0)?;
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
            return true;
        }
        let mut state = self.lock();
        let Some((entry, block)) = Self::find(&state, address, 0) else { return false };
        let start = entry.segment.address();
        let unused = state.release(start, block, &self.0.options);
        drop(state);
        drop(unused);
        true
    }

    /// Keeps every block that is alive now from being used again, for a process that forks shares
    /// them with its child, until [`Arena::end_fork_hold`].
    pub fn hold_for_fork(&self) {
        let mut state = self.lock();
        let mut held = Vec::new();
        for (&address, entry) in &mut state.segments {
            for block in entry.ring.blocks().collect::<Vec<_>>() {
                entry.ring.claim(block);
                held.push((address, block));
            }
        }
        state.held_for_fork.extend(held);
    }

    /// Gives up what [`Arena::hold_for_fork`] keeps.
    pub fn end_fork_hold(&self) {
        let mut state = self.lock();
        let mut unused = Vec::new();
        for (address, block) in std::mem::take(&mut state.held_for_fork) {
            unused.extend(state.release(address, block, &self.0.options));
        }
        drop(state);
        drop(unused);
    }

    /// How much it holds.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        let state = self.lock();
        ArenaStats {
            segments: state.segments.len(),
            mapped_bytes: state.mapped_bytes,
            idle_bytes: state.idle_bytes,
            used_bytes: state.used_bytes,
        }
    }
}

impl State {
    /// Gives a claim up. Gives segments that nobody needs any more, to be unmapped without the lock.
    fn release(
        &mut self,
        address: usize,
        block: usize,
        options: &ArenaOptions,
    ) -> Vec<Arc<Segment>> {
        let mut unused = Vec::new();
        let Some(entry) = self.segments.get_mut(&address) else { return unused };
        let length = entry.ring.block_bytes(block).unwrap_or(0);
        if entry.ring.release(block) != Some(0) {
            return unused;
        }
        self.used_bytes -= length;
        if self.ring != Some(address) {
            self.idle_bytes += length;
            self.idle.entry(length).or_default().push(address);
            while self.idle_bytes > options.idle_max_bytes {
                match self.take_idle() {
                    Some(segment) => unused.push(segment),
                    None => break,
                }
            }
        }
        unused
    }

    /// Gives up the idle segment that was freed first among the largest.
    fn drop_idle(&mut self) -> bool {
        self.take_idle().is_some()
    }

    fn take_idle(&mut self) -> Option<Arc<Segment>> {
        let (&class, addresses) = self.idle.iter_mut().rev().find(|(_, list)| !list.is_empty())?;
        let address = addresses.remove(0);
        self.idle_bytes -= class;
        self.remove(address)
    }

    fn remove(&mut self, address: usize) -> Option<Arc<Segment>> {
        let entry = self.segments.remove(&address)?;
        self.mapped_bytes -= entry.segment.bytes();
        Some(entry.segment)
    }
}

/// The size of segment that serves a block: four sizes per power of two.
fn class_of(bytes: usize) -> io::Result<usize> {
    let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
    let bytes = bytes.max(SMALLEST_CLASS_BYTES);
    let step = bytes.checked_next_power_of_two().ok_or_else(too_large)? / 8;
    bytes.checked_next_multiple_of(step.max(BLOCK_ALIGNMENT)).ok_or_else(too_large)
}

impl Claim {
    /// The segment that the block is in.
    #[must_use]
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The arena that the block is from.
    #[must_use]
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Where the block begins in its segment.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.block
    }

    /// Address of the block.
    #[must_use]
    pub fn address(&self) -> usize {
        self.segment.address() + self.block
    }

    /// Whether nobody else claims the block.
    #[must_use]
    pub fn is_sole(&self) -> bool {
        let state = self.arena.lock();
        let entry = state.segments.get(&self.segment.address());
        entry.is_some_and(|entry| entry.ring.claims(self.block) == 1)
    }

    /// Copies `data` to the start of the block; false when it does not fit. Only before anybody
    /// else knows of the block.
    #[must_use]
    pub fn write(&self, data: &[u8]) -> bool {
        self.segment.write(self.block, data)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.arena.is_inherited() {
            return;
        }
        let mut state = self.arena.lock();
        let unused = state.release(self.segment.address(), self.block, &self.arena.0.options);
        drop(state);
        drop(unused);
    }
}
