//! Memory of arrays, which Python code reads and writes.
//!
//! # Rules
//! 1. The memory stays at its address as long as the block lives: its owner is a field that is
//!    never replaced.
//! 2. A slice of the bytes is used only during a call. Code that holds one reads or writes elements,
//!    or copies; it does not write to the block in another way and calls no Python code.
//! 3. Threads of an interpreter without a global lock may write to one block at the same time, as
//!    with any array of numpy: each number that is read is then an old or a new one. All numbers are
//!    plain bytes, so no bit pattern is invalid.
//! 4. Shared memory is writable only where `ipc_protocol::memory` says so (its rule 2).

use std::any::Any;
use std::ops::Range;

use bytemuck::allocation::try_zeroed_slice_box;
use ipc_protocol::memory::SharedBytes;
use ipc_protocol::{Payload, PayloadMemory};

use super::ViewError;

/// Alignment of a block, in bytes: enough for the elements of every dtype.
const ALIGNMENT: usize = 8;

/// Memory of arrays, together with its owner.
#[derive(Debug)]
pub struct Block {
    owner: Owner,
    start: *mut u8,
    /// Length of the memory, in bytes.
    pub(super) bytes: usize,
    is_writable: bool,
}

#[derive(Debug)]
enum Owner {
    Shared(SharedBytes),
    Private { _memory: Box<dyn Any + Send + Sync> },
}

// SAFETY: `start` points to memory that the block owns; rule 3 covers use by several threads.
unsafe impl Send for Block {}
// SAFETY: as for `Send`.
unsafe impl Sync for Block {}

impl Block {
    /// Private memory of this process, filled with zeros.
    ///
    /// # Errors
    /// `MemoryError` when the allocation fails.
    pub fn zeroed(bytes: usize) -> Result<Self, ViewError> {
        let memory = try_zeroed_slice_box::<u64>(bytes.div_ceil(ALIGNMENT));
        let mut memory =
            memory.map_err(|()| ViewError::Memory(format!("no memory for {bytes} bytes")))?;
        let start = memory.as_mut_ptr().cast();
        Ok(Self::private(memory, start, bytes))
    }

    fn private(memory: impl Any + Send + Sync, start: *mut u8, bytes: usize) -> Self {
        let owner = Owner::Private { _memory: Box::new(memory) };
        Self { owner, start, bytes, is_writable: true }
    }

    /// Private memory with a copy of `data`; errors as of [`Block::zeroed`].
    pub fn copy_of(data: &[u8]) -> Result<Self, ViewError> {
        let block = Self::zeroed(data.len())?;
        block.write(0, data);
        Ok(block)
    }

    /// Shared memory, which can be lent to other processes.
    pub fn shared(shared: SharedBytes) -> Self {
        let start = shared.as_slice().as_ptr().cast_mut();
        let (bytes, is_writable) = (shared.len(), shared.is_writable());
        Self { owner: Owner::Shared(shared), start, bytes, is_writable }
    }

    /// The memory of a received payload: a copy if it is misaligned or a frame with other owners;
    /// errors as of [`Block::zeroed`].
    pub fn of_payload(payload: Payload) -> Result<Self, ViewError> {
        match payload.into_memory() {
            PayloadMemory::Shared(shared) if shared.address().is_multiple_of(ALIGNMENT) => {
                Ok(Self::shared(shared))
            }
            PayloadMemory::Shared(shared) => Self::copy_of(shared.as_slice()),
            PayloadMemory::Owned(owned) => Self::copy_of(owned.as_slice()),
            PayloadMemory::Private(data) if data.as_ptr().align_offset(ALIGNMENT) != 0 => {
                Self::copy_of(&data)
            }
            PayloadMemory::Private(data) => data.try_into_mut().map_or_else(
                |data| Self::copy_of(&data),
                |mut data| {
                    let (start, bytes) = (data.as_mut_ptr(), data.len());
                    Ok(Self::private(data, start, bytes))
                },
            ),
        }
    }

    /// Whether the memory may be written to.
    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// The shared memory of this block; `None` for private memory.
    pub fn shared_bytes(&self) -> Option<&SharedBytes> {
        match &self.owner {
            Owner::Shared(shared) => Some(shared),
            Owner::Private { .. } => None,
        }
    }

    /// The bytes, for use during one call (rule 2).
    pub fn as_slice(&self) -> &[u8] {
        if self.bytes == 0 {
            return &[];
        }
        // SAFETY: `start` and `bytes` describe the memory of the owner (rule 1), and the slice is
        // used as rule 2 says.
        unsafe { std::slice::from_raw_parts(self.start, self.bytes) }
    }

    /// The bytes for writing, for use during one call (rule 2); empty if they are read-only.
    #[expect(clippy::mut_from_ref, reason = "Python objects share the memory that they write to")]
    pub fn as_mut_slice(&self) -> &mut [u8] {
        if self.bytes == 0 || !self.is_writable {
            return &mut [];
        }
        // SAFETY: as for `as_slice`, and the owner allows writing (rule 4).
        unsafe { std::slice::from_raw_parts_mut(self.start, self.bytes) }
    }

    /// Copies `data` to the bytes from `offset` on. Returns false if the data does not fit or the
    /// block is read-only. `data` may be part of the same block.
    pub fn write(&self, offset: usize, data: &[u8]) -> bool {
        let fits = offset.checked_add(data.len()).is_some_and(|end| end <= self.bytes);
        if !fits || !self.is_writable {
            return false;
        }
        // SAFETY: the target lies within the block; `copy` allows overlapping memory.
        unsafe { std::ptr::copy(data.as_ptr(), self.start.add(offset), data.len()) };
        true
    }

    /// Copies the byte ranges `runs` of another block to the start of this one.
    pub(super) fn gather(&self, from: &Self, runs: impl IntoIterator<Item = Range<usize>>) {
        let mut to = 0;
        for run in runs {
            let run = from.as_slice().get(run).unwrap_or(&[]);
            self.write(to, run);
            to += run.len();
        }
    }

    /// Copies `bytes` to the byte ranges `runs` of this block, one after another.
    pub(super) fn scatter(&self, runs: impl IntoIterator<Item = Range<usize>>, mut bytes: &[u8]) {
        for run in runs {
            let (now, later) = bytes.split_at(run.len().min(bytes.len()));
            self.write(run.start, now);
            bytes = later;
        }
    }
}
