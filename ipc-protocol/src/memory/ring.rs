//! The allocator of one segment: next fit over its length. Pure: offsets only, no memory.
//!
//! In first-in-first-out use an allocation is O(1). A block that is still claimed is skipped, not
//! waited for. When nothing is claimed the next block starts at 0 again, where the cache is warm.

use std::collections::BTreeMap;

/// Blocks of one segment.
#[derive(Debug, Clone)]
pub struct Ring {
    capacity: usize,
    alignment: usize,
    /// Where the search for room begins.
    head: usize,
    blocks: BTreeMap<usize, Block>,
    used: usize,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    bytes: usize,
    claims: u32,
}

impl Ring {
    /// An allocator over `capacity` bytes; blocks start at multiples of `alignment` (not 0).
    #[must_use]
    pub fn new(capacity: usize, alignment: usize) -> Self {
        Self { capacity, alignment, head: 0, blocks: BTreeMap::new(), used: 0 }
    }

    /// A block of at least `bytes`, with one claim on it: its offset. `None` when there is no room.
    pub fn allocate(&mut self, bytes: usize) -> Option<usize> {
        let bytes = bytes.max(1).checked_next_multiple_of(self.alignment)?;
        if bytes > self.capacity - self.used {
            return None;
        }
        if self.blocks.is_empty() {
            self.head = 0;
        }
        let offset = self.gap(self.head, bytes).or_else(|| self.gap(0, bytes))?;
        self.blocks.insert(offset, Block { bytes, claims: 1 });
        self.head = offset + bytes;
        self.used += bytes;
        Some(offset)
    }

    /// The first gap of at least `bytes` at or after `from`, which does not lie inside a block.
    fn gap(&self, from: usize, bytes: usize) -> Option<usize> {
        let mut start = from;
        for (&offset, block) in self.blocks.range(from..) {
            if offset - start >= bytes {
                return Some(start);
            }
            start = offset + block.bytes;
        }
        (self.capacity.checked_sub(start)? >= bytes).then_some(start)
    }

    /// One more claim on a block. False when there is no such block.
    pub fn claim(&mut self, offset: usize) -> bool {
        let Some(block) = self.blocks.get_mut(&offset) else { return false };
        let Some(claims) = block.claims.checked_add(1) else { return false };
        block.claims = claims;
        true
    }

    /// Gives a claim up; the block is free when it was the last. Gives the claims that are left,
    /// `None` when there is no such block.
    pub fn release(&mut self, offset: usize) -> Option<u32> {
        let block = self.blocks.get_mut(&offset)?;
        block.claims -= 1;
        let Block { bytes, claims } = *block;
        if claims == 0 {
            self.blocks.remove(&offset);
            self.used -= bytes;
        }
        Some(claims)
    }

    /// Claims on a block; 0 when there is no such block.
    #[must_use]
    pub fn claims(&self, offset: usize) -> u32 {
        self.blocks.get(&offset).map_or(0, |block| block.claims)
    }

    /// The block that holds `length` bytes from `offset` on.
    #[must_use]
    pub fn block_of(&self, offset: usize, length: usize) -> Option<usize> {
        let (&start, block) = self.blocks.range(..=offset).next_back()?;
        (offset.checked_add(length)? <= start + block.bytes && offset < start + block.bytes)
            .then_some(start)
    }

    /// Length of a block, in bytes.
    #[must_use]
    pub fn block_bytes(&self, offset: usize) -> Option<usize> {
        self.blocks.get(&offset).map(|block| block.bytes)
    }

    /// Offsets of all blocks, in order.
    pub fn blocks(&self) -> impl Iterator<Item = usize> + '_ {
        self.blocks.keys().copied()
    }

    /// Bytes in blocks.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Whether there is no block.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}
