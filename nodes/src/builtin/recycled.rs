//! Memory of outputs that is used again once the outputs have been dropped, so that a stream whose
//! outputs are of one size allocates no samples, and its memory stays warm.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use ipc_protocol::{OwnMemory, Owned, Payload};

/// Outputs that may be in flight at once and still be used again.
const MOST_KEPT: usize = 4;

type Block = [u64; 8];
type Kept = Mutex<Vec<Vec<Block>>>;

/// The memory that a node's dropped outputs leave behind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recycled {
    kept: Arc<Kept>,
}

impl Recycled {
    /// Memory of so many bytes, with any contents, aligned for every element type.
    pub(crate) fn take(&self, bytes: usize) -> Buffer {
        let count = bytes.div_ceil(size_of::<Block>());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is far too large would pin its memory behind a small output.
        let fits = |blocks: &Vec<Block>| (count..=count.saturating_mul(4)).contains(&blocks.len());
        let found = kept.iter().position(fits).map(|at| kept.swap_remove(at));
        drop(kept);
        let blocks = found.unwrap_or_else(|| vec![[0; 8]; count]);
        Buffer { blocks, bytes, home: Arc::downgrade(&self.kept) }
    }
}

/// The memory of one output.
#[derive(Debug)]
pub(crate) struct Buffer {
    blocks: Vec<Block>,
    bytes: usize,
    home: Weak<Kept>,
}

impl Buffer {
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.bytes]
    }

    pub(crate) fn into_payload(self) -> Payload {
        Owned::new(self).into()
    }
}

impl OwnMemory for Buffer {
    fn bytes(&self) -> &[u8] {
        self.as_ref()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.as_mut_slice()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.bytes]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(home) = self.home.upgrade() else { return };
        let blocks = std::mem::take(&mut self.blocks);
        let mut kept = home.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(blocks);
        if kept.len() > MOST_KEPT {
            kept.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_when_its_output_is_dropped() {
        let recycled = Recycled::default();
        let first = recycled.take(1_000).into_payload();
        let place = first.as_slice().as_ptr();
        let second = recycled.take(1_000).into_payload();
        assert_ne!(second.as_slice().as_ptr(), place, "the first output is still in use");
        drop(first);
        let third = recycled.take(900).into_payload();
        assert_eq!((third.as_slice().as_ptr(), third.as_slice().len()), (place, 900));
        drop(third);
        assert_ne!(recycled.take(10).as_ref().as_ptr(), place, "a small output pins no large one");
    }

    #[test]
    fn what_is_kept_is_bounded_and_goes_with_the_node() {
        let recycled = Recycled::default();
        drop((0..20).map(|_| recycled.take(64)).collect::<Vec<_>>());
        assert_eq!(recycled.kept.lock().unwrap().len(), MOST_KEPT);
        let last = recycled.take(64);
        drop(recycled);
        assert_eq!(last.as_ref().len(), 64);
    }
}
