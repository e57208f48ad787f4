//! Moves payloads out of a message into the blobs of its frame, and back. Both ways check that the
//! dtype, shape and data of each array agree and that values are not nested too deep; the bytes of
//! payloads are not read.

use bytes::Bytes;

use crate::array::{Array, Payload, Storage};
use crate::error::{CodecError, LeaseError};
use crate::limits::Limits;
use crate::memory::NoMemory;
use crate::visit::{Message, Visitor};

/// Takes the bytes of all payloads out of a message that will be encoded, as blobs.
pub(super) fn detach<M: Message>(
    message: &mut M,
    limits: &Limits,
) -> Result<Vec<Bytes>, CodecError> {
    let mut detach = Detach { blobs: Vec::new(), max_depth: limits.depth() };
    message.visit(&mut detach)?;
    Ok(detach.blobs)
}

/// Puts the frame's blobs into the payloads of a decoded message. Each blob must belong to exactly
/// one payload.
pub(super) fn attach<M: Message>(
    message: &mut M,
    blobs: Vec<Bytes>,
    limits: &Limits,
) -> Result<(), CodecError> {
    let blobs = blobs.into_iter().map(Some).collect();
    let mut attach = Attach { blobs, max_depth: limits.depth() };
    message.visit(&mut attach)?;
    match attach.blobs.iter().position(Option::is_some) {
        Some(index) => Err(CodecError::BlobUnused { index }),
        None => Ok(()),
    }
}

/// Refuses a message that refers to shared memory, for connections that have none.
pub(super) fn refuse_placed<M: Message>(
    message: &mut M,
    limits: &Limits,
) -> Result<(), CodecError> {
    message.visit(&mut Refuse { max_depth: limits.depth() })
}

struct Refuse {
    max_depth: u32,
}

impl Visitor for Refuse {
    fn max_depth(&self) -> u32 {
        self.max_depth
    }

    fn payload(&mut self, payload: &mut Payload) -> Result<(), CodecError> {
        match payload.0 {
            Storage::Placed(_) => Err(LeaseError::NoSharedMemory.into()),
            _ => Ok(()),
        }
    }

    fn array(&mut self, array: &mut Array) -> Result<(), CodecError> {
        self.payload(&mut array.data)
    }
}

struct Detach {
    blobs: Vec<Bytes>,
    max_depth: u32,
}

impl Detach {
    fn push(&mut self, blob: Bytes) -> Result<(), CodecError> {
        let bytes = (self.blobs.len() + 1) * size_of::<Bytes>();
        self.blobs.try_reserve(1).map_err(|_| NoMemory::for_bytes(bytes))?;
        self.blobs.push(blob);
        Ok(())
    }
}

impl Visitor for Detach {
    fn max_depth(&self) -> u32 {
        self.max_depth
    }

    fn payload(&mut self, payload: &mut Payload) -> Result<(), CodecError> {
        // More than 2^32 blobs do not fit in memory; `Frame::assemble` refuses too many blobs.
        let index = u32::try_from(self.blobs.len()).unwrap_or(u32::MAX);
        match std::mem::replace(&mut payload.0, Storage::Blob(index)) {
            Storage::Memory(bytes) => self.push(bytes),
            Storage::Owned(owned) => self.push(owned.to_bytes()),
            Storage::Shared(shared) => self.push(shared.to_bytes()),
            placed @ Storage::Placed(_) => {
                payload.0 = placed;
                Ok(())
            }
            Storage::Blob(index) => Err(CodecError::DetachedPayload { index }),
        }
    }

    fn array(&mut self, array: &mut Array) -> Result<(), CodecError> {
        array.check()?;
        self.payload(&mut array.data)
    }
}

struct Attach {
    blobs: Vec<Option<Bytes>>,
    max_depth: u32,
}

impl Visitor for Attach {
    fn max_depth(&self) -> u32 {
        self.max_depth
    }

    fn payload(&mut self, payload: &mut Payload) -> Result<(), CodecError> {
        let Storage::Blob(index) = payload.0 else { return Ok(()) };
        let blob = usize::try_from(index).ok().and_then(|i| self.blobs.get_mut(i)?.take());
        let missing = CodecError::BlobMissing { index, count: self.blobs.len() };
        payload.0 = Storage::Memory(blob.ok_or(missing)?);
        Ok(())
    }

    fn array(&mut self, array: &mut Array) -> Result<(), CodecError> {
        self.payload(&mut array.data)?;
        Ok(array.check()?)
    }
}
