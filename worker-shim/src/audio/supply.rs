//! Allocates memory for new arrays, in shared memory where possible.

use bytemuck::Pod;
use ipc_protocol::memory::{Arena, SharedBytes};

use super::layout::bytes_needed;
use super::{Block, Kind, View, ViewError};

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
    #[must_use]
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

    /// Allocates a block for a view of this shape.
    ///
    /// # Errors
    /// `MemoryError` when the allocation fails.
    pub fn view(&self, shape: &[usize], kind: Kind) -> Result<View, ViewError> {
        let bytes = bytes_needed(kind.bytes(), shape)
            .map_err(|_| ViewError::Memory(format!("no memory for shape {shape:?}")))?;
        View::over(self.block(bytes)?, kind, shape)
    }

    /// A new view that holds `numbers` in C order; a number has the bytes of an element of `kind`.
    ///
    /// # Errors
    /// As [`Supply::view`]; `ValueError` if the shape does not have as many elements.
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
        Err(ViewError::Value(format!(
            "{} bytes do not fit an array of shape {shape:?}",
            bytes.len()
        )))
    }

    /// Whether an array of this many bytes should lie in shared memory.
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
