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

use bytemuck::allocation::try_zeroed_slice_box;
use bytes::{Bytes, BytesMut};
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
    Private { _memory: Box<[u64]> },
    Frame { _memory: BytesMut },
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
        Ok(Self { owner: Owner::Private { _memory: memory }, start, bytes, is_writable: true })
    }

    /// Private memory with a copy of `data`.
    ///
    /// # Errors
    /// As [`Block::zeroed`].
    pub fn copy_of(data: &[u8]) -> Result<Self, ViewError> {
        let block = Self::zeroed(data.len())?;
        block.write(0, data);
        Ok(block)
    }

    /// Shared memory, which can be lent to other processes.
    #[must_use]
    pub fn shared(shared: SharedBytes) -> Self {
        let start = shared.as_slice().as_ptr().cast_mut();
        let (bytes, is_writable) = (shared.len(), shared.is_writable());
        Self { owner: Owner::Shared(shared), start, bytes, is_writable }
    }

    /// The memory of a received payload: a copy if it is misaligned or a frame with other owners.
    ///
    /// # Errors
    /// As [`Block::zeroed`].
    pub fn of_payload(payload: Payload) -> Result<Self, ViewError> {
        match payload.into_memory() {
            PayloadMemory::Shared(shared) if shared.address().is_multiple_of(ALIGNMENT) => {
                Ok(Self::shared(shared))
            }
            PayloadMemory::Shared(shared) => Self::copy_of(shared.as_slice()),
            PayloadMemory::Private(data) => Self::of_frame(data),
        }
    }

    fn of_frame(data: Bytes) -> Result<Self, ViewError> {
        if data.as_ptr().align_offset(ALIGNMENT) != 0 {
            return Self::copy_of(&data);
        }
        match data.try_into_mut() {
            Ok(mut memory) => {
                let (start, bytes) = (memory.as_mut_ptr(), memory.len());
                Ok(Self {
                    owner: Owner::Frame { _memory: memory },
                    start,
                    bytes,
                    is_writable: true,
                })
            }
            Err(data) => Self::copy_of(&data),
        }
    }

    /// Whether the memory may be written to.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// The shared memory of this block; `None` for private memory.
    #[must_use]
    pub fn shared_bytes(&self) -> Option<&SharedBytes> {
        match &self.owner {
            Owner::Shared(shared) => Some(shared),
            Owner::Private { .. } | Owner::Frame { .. } => None,
        }
    }

    /// The bytes, for use during one call (rule 2).
    #[must_use]
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
    #[must_use]
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
}
