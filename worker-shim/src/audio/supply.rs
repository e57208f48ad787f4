//! Where new arrays get their memory.

use bytemuck::Pod;
use ipc_protocol::memory::{Arena, SharedBytes};

use super::layout::bytes_needed;
use super::{Block, Kind, View, ViewError};

/// New arrays may take all but one part in this many of a connection's shared memory. The rest is
/// for copies of outputs when a node keeps many arrays.
const RESERVED_PART: usize = 4;

/// Memory for new arrays: shared memory for large ones, where there is some.
#[derive(Debug, Clone, Default)]
pub struct Supply {
    shared: Option<(Arena, usize, usize)>,
}

impl Supply {
    /// Shared memory from this arena, for arrays above `inline_max_bytes`, of which `max_bytes` can
    /// be had.
    #[must_use]
    pub fn new(arena: Arena, inline_max_bytes: usize, max_bytes: usize) -> Self {
        let limit_bytes = max_bytes - max_bytes / RESERVED_PART;
        Self { shared: Some((arena, inline_max_bytes, limit_bytes)) }
    }

    /// A block for an array. Its contents are unknown, but never those of another program.
    #[must_use]
    pub fn block(&self, bytes: usize) -> Block {
        self.shared_block(bytes).unwrap_or_else(|| Block::zeroed(bytes))
    }

    /// A view over a block for it.
    ///
    /// # Errors
    /// `MemoryError` when no memory has room for the shape.
    pub fn view(&self, shape: &[usize], kind: Kind) -> Result<View, ViewError> {
        let bytes = bytes_needed(kind.bytes(), shape)
            .map_err(|_| ViewError::Memory(format!("no memory for shape {shape:?}")))?;
        View::over(self.block(bytes), kind, shape)
    }

    /// A view of numbers whose bytes are those of its elements, in C order.
    ///
    /// # Errors
    /// As [`Supply::view`]; `ValueError` for a shape of another number of elements.
    pub fn view_of<T: Pod>(
        &self,
        numbers: &[T],
        shape: &[usize],
        kind: Kind,
    ) -> Result<View, ViewError> {
        let (made, bytes) = (self.view(shape, kind)?, bytemuck::cast_slice(numbers));
        if made.len_bytes() == bytes.len() && made.block().write(0, bytes) {
            return Ok(made);
        }
        Err(ViewError::Value(format!("{} bytes are no array of shape {shape:?}", bytes.len())))
    }

    /// Whether an array of this size belongs into shared memory.
    #[must_use]
    pub fn is_worth(&self, bytes: usize) -> bool {
        self.shared.as_ref().is_some_and(|(_, inline_max_bytes, _)| bytes > *inline_max_bytes)
    }

    fn shared_block(&self, bytes: usize) -> Option<Block> {
        let (arena, inline_max_bytes, limit_bytes) = self.shared.as_ref()?;
        let used_bytes = arena.stats().used_bytes;
        if bytes <= *inline_max_bytes || used_bytes.saturating_add(bytes) > *limit_bytes {
            return None;
        }
        let claim = arena.allocate(bytes).ok()?;
        let offset = claim.offset();
        Some(Block::shared(SharedBytes::claimed(claim, offset, bytes)?))
    }
}
