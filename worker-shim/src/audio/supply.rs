//! Allocates memory for new arrays, in shared memory where possible.

use ipc_protocol::memory::{Arena, SharedBytes};

use super::{Block, ViewError};

/// One part in this many of a connection's shared memory is not used for new arrays. It is reserved
/// for copies of outputs in case a node keeps many arrays.
const RESERVED_PART: usize = 4;

/// Allocates memory for new arrays: shared memory for large arrays, if the connection has some.
#[derive(Debug, Clone, Default)]
pub struct Supply {
    /// The arena, the size above which arrays go there, and the limit of its used bytes.
    shared: Option<(Arena, usize, usize)>,
}

impl Supply {
    /// Takes arrays above `inline_max_bytes` from `arena`, which has `max_bytes` in total.
    pub fn new(arena: Arena, inline_max_bytes: usize, max_bytes: usize) -> Self {
        let limit_bytes = max_bytes - max_bytes / RESERVED_PART;
        Self { shared: Some((arena, inline_max_bytes, limit_bytes)) }
    }

    /// Allocates a block. Its contents are arbitrary, but never data of another program.
    ///
    /// # Errors
    /// `MemoryError` when the allocation fails.
    pub fn block(&self, bytes: usize) -> Result<Block, ViewError> {
        self.shared_block(bytes).map_or_else(|| Block::zeroed(bytes), Ok)
    }

    /// Whether an array of this many bytes should lie in shared memory.
    pub fn is_worth(&self, bytes: usize) -> bool {
        self.shared.as_ref().is_some_and(|(_, inline_max_bytes, _)| bytes > *inline_max_bytes)
    }

    fn shared_block(&self, bytes: usize) -> Option<Block> {
        let (arena, _, limit_bytes) = self.shared.as_ref().filter(|_| self.is_worth(bytes))?;
        if arena.stats().used_bytes.saturating_add(bytes) > *limit_bytes {
            return None;
        }
        let claim = arena.allocate(bytes).ok()?;
        let offset = claim.offset();
        Some(Block::shared(SharedBytes::claimed(claim, offset, bytes)?))
    }
}
