//! Claims, which keep blocks of an arena from being reused.

use std::sync::Arc;

use super::{Arena, Segment};

/// A claim on a block: the block is not reused while the claim exists.
#[derive(Debug)]
pub struct Claim {
    pub(super) arena: Arena,
    pub(super) segment: Arc<Segment>,
    pub(super) block: usize,
    pub(super) bytes: usize,
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

    /// Offset of the block in its segment, in bytes.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.block
    }

    /// Length of the block, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Address of the block.
    #[must_use]
    pub fn address(&self) -> usize {
        self.segment.address() + self.block
    }

    /// Whether this is the only claim on the block.
    #[must_use]
    pub fn is_sole(&self) -> bool {
        !self.arena.is_inherited()
            && self.arena.lock().claims(self.segment.address(), self.block) == 1
    }

    /// Copies `data` to the start of the block; false when it does not fit, or when another claim
    /// exists, whose holder may read the block.
    #[must_use]
    pub fn write(&mut self, data: &[u8]) -> bool {
        data.len() <= self.bytes && self.is_sole() && self.segment.write(self.block, data)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.arena.is_inherited() {
            let (start, block) = (self.segment.address(), self.block);
            self.arena.change(|state| state.release(start, block));
        }
    }
}
