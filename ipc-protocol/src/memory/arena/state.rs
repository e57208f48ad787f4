//! Bookkeeping of an arena: its segments, which of them are free, and the claims on blocks. Without
//! locks; the arena locks it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::{ArenaOptions, ArenaStats};
use crate::memory::fork;
use crate::memory::pages::page_bytes;
use crate::memory::ring::Ring;
use crate::memory::segment::Segment;

/// Smallest segment for a single block. Larger ones come in four sizes per power of two.
const SMALLEST_CLASS_BYTES: usize = 64 << 10;
/// Most segments of one arena. Each costs a descriptor on both sides, and a process has 1,024 by
/// default.
pub(crate) const MAX_SEGMENTS: usize = 256;

/// Segments, blocks and claims of an arena.
#[derive(Debug)]
pub(super) struct ArenaState {
    options: ArenaOptions,
    /// All segments, by address.
    segments: BTreeMap<usize, Entry>,
    /// Address of the ring's segment, once it is made.
    ring: Option<usize>,
    /// Addresses of free segments for single blocks, by size; the last freed is at the end. No list
    /// is empty.
    idle: BTreeMap<usize, Vec<usize>>,
    mapped_bytes: usize,
    idle_bytes: usize,
    used_bytes: usize,
    /// Additional claims on the blocks that were claimed when the process forked: address of the
    /// segment, offset of the block.
    held_for_fork: Vec<(usize, usize)>,
    /// True from `hold_for_fork` to `end_fork_hold`: the claims in `held_for_fork` then stay even
    /// if no child is left.
    is_held: bool,
    /// [`fork::count`] at the last check for forks.
    forks: u64,
    /// Removed segments, to be dropped after the lock is released.
    unused: Vec<Arc<Segment>>,
}

#[derive(Debug)]
pub(super) struct Entry {
    segment: Arc<Segment>,
    pub(super) ring: Ring,
}

/// A claimed block.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) segment: Arc<Segment>,
    /// Offset of the block in the segment, in bytes.
    pub(super) block: usize,
    pub(super) bytes: usize,
}

impl ArenaState {
    pub(super) fn new(options: ArenaOptions) -> Self {
        Self {
            options,
            segments: BTreeMap::new(),
            ring: None,
            idle: BTreeMap::new(),
            mapped_bytes: 0,
            idle_bytes: 0,
            used_bytes: 0,
            held_for_fork: Vec::new(),
            is_held: false,
            forks: fork::count(),
            unused: Vec::new(),
        }
    }

    /// Allocates a block of at least `bytes`, with one claim on it.
    pub(super) fn allocate(&mut self, bytes: usize) -> io::Result<Taken> {
        let fits_ring = bytes <= self.options.ring_block_max_bytes.min(self.options.ring_bytes);
        let in_ring = if fits_ring { self.in_ring(bytes)? } else { None };
        let taken = match in_ring {
            Some(taken) => taken,
            None => self.own_segment(class_of(bytes)?)?,
        };
        self.used_bytes += taken.bytes;
        Ok(taken)
    }

    fn in_ring(&mut self, bytes: usize) -> io::Result<Option<Taken>> {
        let address = match self.ring {
            Some(address) => address,
            None => {
                let address = self.add_segment(self.options.ring_bytes)?;
                *self.ring.insert(address)
            }
        };
        let Some(entry) = self.segments.get_mut(&address) else { return Ok(None) };
        let Some(block) = entry.ring.allocate(bytes) else { return Ok(None) };
        let bytes = entry.ring.block_bytes(block).unwrap_or(0);
        if let Err(error) = entry.segment.reserve(block + bytes) {
            entry.ring.release(block);
            return Err(error);
        }
        Ok(Some(Taken { segment: Arc::clone(&entry.segment), block, bytes }))
    }

    fn own_segment(&mut self, class: usize) -> io::Result<Taken> {
        let address = match self.take_idle_of(class) {
            Some(address) => address,
            None => self.add_segment(class)?,
        };
        let Some(entry) = self.segments.get_mut(&address) else {
            return Err(io::Error::other("the segment is missing in the arena"));
        };
        if let Err(error) = entry.segment.reserve(class) {
            self.remove(address);
            return Err(error);
        }
        entry.ring.allocate(class);
        Ok(Taken { segment: Arc::clone(&entry.segment), block: 0, bytes: class })
    }

    /// Makes a segment and returns its address; removes free segments first if a limit requires it.
    fn add_segment(&mut self, bytes: usize) -> io::Result<usize> {
        let bytes =
            bytes.checked_next_multiple_of(page_bytes()).ok_or(io::ErrorKind::OutOfMemory)?;
        let limit = self.options.max_bytes;
        while self.is_full_for(bytes) && self.give_up_idle() {
            // The removed segments must be unmapped before a new one is made, or the limit would be
            // exceeded.
            self.unused.clear();
        }
        if self.is_full_for(bytes) {
            let message = if self.segments.len() < MAX_SEGMENTS {
                format!("the limit of {limit} bytes of shared memory is reached")
            } else {
                format!("the limit of {MAX_SEGMENTS} segments of shared memory is reached")
            };
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, message));
        }
        let segment = Segment::create(self.options.kind, bytes)?;
        let address = segment.address();
        let ring = Ring::new(bytes, page_bytes());
        self.segments.insert(address, Entry { segment, ring });
        self.mapped_bytes += bytes;
        Ok(address)
    }

    fn is_full_for(&self, bytes: usize) -> bool {
        self.segments.len() >= MAX_SEGMENTS
            || self.mapped_bytes.saturating_add(bytes) > self.options.max_bytes
    }

    /// The segment of an address, and the block that holds `bytes` from this address on.
    pub(super) fn find(&self, address: usize, bytes: usize) -> Option<(&Entry, usize)> {
        let (&start, entry) = self.segments.range(..=address).next_back()?;
        let block = entry.ring.block_of(address - start, bytes)?;
        Some((entry, block))
    }

    /// Whether an address lies in a segment, inside a block or not.
    pub(super) fn has_segment_at(&self, address: usize) -> bool {
        let below = self.segments.range(..=address).next_back();
        below.is_some_and(|(start, entry)| address - start < entry.segment.bytes())
    }

    /// Adds a claim on the block that holds `bytes` from this address on.
    pub(super) fn claim_at(&mut self, address: usize, bytes: usize) -> Option<Taken> {
        let (&start, entry) = self.segments.range_mut(..=address).next_back()?;
        let block = entry.ring.block_of(address - start, bytes)?;
        let bytes = entry.ring.block_bytes(block)?;
        let is_claimed = entry.ring.claim(block);
        is_claimed.then(|| Taken { segment: Arc::clone(&entry.segment), block, bytes })
    }

    /// Number of claims on a block.
    pub(super) fn claims(&self, start: usize, block: usize) -> u32 {
        self.segments.get(&start).map_or(0, |entry| entry.ring.claims(block))
    }

    /// Ends a claim on the block at an address; `None` when no block is there. Returns the length of
    /// the block, in bytes.
    pub(super) fn release_at(&mut self, address: usize) -> Option<usize> {
        let (entry, block) = self.find(address, 0)?;
        let (start, length) = (entry.segment.address(), entry.ring.block_bytes(block)?);
        self.release(start, block);
        Some(length)
    }

    /// Ends a claim on a block of the segment at `start`.
    pub(super) fn release(&mut self, start: usize, block: usize) {
        let Some(entry) = self.segments.get_mut(&start) else { return };
        let length = entry.ring.block_bytes(block).unwrap_or(0);
        if entry.ring.release(block) != Some(0) {
            return;
        }
        self.used_bytes -= length;
        if self.ring != Some(start) {
            self.idle_bytes += length;
            self.idle.entry(length).or_default().push(start);
            while self.idle_bytes > self.options.idle_max_bytes && self.give_up_idle() {}
        }
    }

    /// Holds all claimed blocks if the process has forked since the last check. They are the blocks
    /// of the time of the fork, because every change begins with this check.
    pub(super) fn note_forks(&mut self) {
        let forks = fork::count();
        if self.forks != forks {
            self.forks = forks;
            self.hold_all();
        }
    }

    /// Ends the hold of blocks if it was only for children, and all of them have ended.
    pub(super) fn end_needless_hold(&mut self) {
        if !self.held_for_fork.is_empty() && !self.is_held && !fork::has_children() {
            self.end_fork_hold();
        }
    }

    pub(super) fn hold_for_fork(&mut self) {
        self.is_held = true;
        self.hold_all();
    }

    fn hold_all(&mut self) {
        for (&start, entry) in &mut self.segments {
            for block in entry.ring.blocks().collect::<Vec<_>>() {
                if entry.ring.claim(block) {
                    self.held_for_fork.push((start, block));
                }
            }
        }
    }

    pub(super) fn end_fork_hold(&mut self) {
        self.is_held = false;
        for (start, block) in std::mem::take(&mut self.held_for_fork) {
            self.release(start, block);
        }
    }

    /// Takes the free segment of this size that was freed last.
    fn take_idle_of(&mut self, class: usize) -> Option<usize> {
        let addresses = self.idle.get_mut(&class)?;
        let address = addresses.pop()?;
        if addresses.is_empty() {
            self.idle.remove(&class);
        }
        self.idle_bytes -= class;
        Some(address)
    }

    /// Removes one free segment: among the largest, the one that was freed first. False when there
    /// is none.
    fn give_up_idle(&mut self) -> bool {
        let Some(mut largest) = self.idle.last_entry() else { return false };
        let class = *largest.key();
        let address = largest.get_mut().remove(0);
        if largest.get().is_empty() {
            largest.remove();
        }
        self.idle_bytes -= class;
        self.remove(address);
        true
    }

    fn remove(&mut self, address: usize) {
        if let Some(entry) = self.segments.remove(&address) {
            self.mapped_bytes -= entry.segment.bytes();
            self.unused.push(entry.segment);
        }
    }

    /// Takes the removed segments, to be dropped after the lock is released.
    pub(super) fn take_unused(&mut self) -> Vec<Arc<Segment>> {
        std::mem::take(&mut self.unused)
    }

    pub(super) fn stats(&self) -> ArenaStats {
        ArenaStats {
            segments: self.segments.len(),
            mapped_bytes: self.mapped_bytes,
            idle_bytes: self.idle_bytes,
            used_bytes: self.used_bytes,
        }
    }
}

/// Length of the segment for a single block of `bytes`: one of four sizes per power of two.
fn class_of(bytes: usize) -> io::Result<usize> {
    let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
    let bytes = bytes.max(SMALLEST_CLASS_BYTES);
    let step = bytes.checked_next_power_of_two().ok_or_else(too_large)? / 8;
    bytes.checked_next_multiple_of(step.max(page_bytes())).ok_or_else(too_large)
}
