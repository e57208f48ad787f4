//! The allocator of one segment, by next fit. Pure: it computes offsets and touches no memory.
//!
//! When blocks are freed in the order of their allocation, an allocation is O(1). A block that is
//! still claimed is skipped, not waited for. When no block is claimed, the next one starts at
//! offset 0, whose memory is most likely in the caches.

use std::collections::BTreeMap;

/// The blocks of one segment.
#[derive(Debug, Clone)]
pub struct Ring {
    capacity: usize,
    alignment: usize,
    /// Offset at which the search for a gap begins.
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
    /// An allocator over `capacity` bytes. Blocks start at multiples of `alignment`, which is above
    /// 0.
    #[must_use]
    pub fn new(capacity: usize, alignment: usize) -> Self {
        Self { capacity, alignment, head: 0, blocks: BTreeMap::new(), used: 0 }
    }

    /// Allocates a block of at least `bytes` with one claim on it; returns its offset. `None` when
    /// no gap is large enough.
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

    /// Offset of the first gap of at least `bytes` at or after `from`. `from` must not lie inside a
    /// block.
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

    /// Adds a claim on a block; false when there is no such block.
    pub fn claim(&mut self, offset: usize) -> bool {
        let Some(block) = self.blocks.get_mut(&offset) else { return false };
        let Some(claims) = block.claims.checked_add(1) else { return false };
        block.claims = claims;
        true
    }

    /// Ends a claim; with its last claim the block is free. Returns the number of remaining claims,
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

    /// Number of claims on a block; 0 when there is no such block.
    #[must_use]
    pub fn claims(&self, offset: usize) -> u32 {
        self.blocks.get(&offset).map_or(0, |block| block.claims)
    }

    /// Offset of the block that holds `length` bytes from `offset` on.
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

    /// Offsets of all blocks, in ascending order.
    pub fn blocks(&self) -> impl Iterator<Item = usize> + '_ {
        self.blocks.keys().copied()
    }

    /// Total length of all blocks, in bytes.
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
