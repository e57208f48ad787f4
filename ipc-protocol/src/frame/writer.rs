//! Writing: encoded frames, and the queue of those that wait for a non-blocking stream.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::{HEADER_BYTES, Header, Socket, TABLE_ENTRY_BYTES, blob_range};
use crate::error::{CodecError, FrameError};
use crate::limits::Limits;
use crate::memory::NoMemory;

/// Blobs up to this many bytes are copied behind the body, so that a small frame is one piece.
/// Larger blobs are not copied, but sent by a vectored write.
const COPIED_BLOB_BYTES: usize = 8 << 10;
/// Most pieces of frames that are passed to one system call.
const PIECES_PER_WRITE: usize = 64;

/// One encoded message, as pieces of bytes in the order in which they are sent. Large payloads
/// share the message's memory, small ones are copied. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Frame {
    parts: Vec<Bytes>,
    len: usize,
    /// The descriptor to send with the first byte.
    descriptor: Option<Arc<OwnedFd>>,
}

impl Frame {
    /// Builds a frame. `start` holds 24 bytes of room for the header, then the body.
    pub(crate) fn assemble(
        mut start: Vec<u8>,
        blobs: Vec<Bytes>,
        limits: &Limits,
    ) -> Result<Self, CodecError> {
        let body = start.len() - HEADER_BYTES;
        let too_many =
            FrameError::TooManyBlobs { count: blobs.len() as u64, limit: limits.max_blobs };
        if u32::try_from(blobs.len()).map_or(true, |count| count > limits.max_blobs) {
            return Err(too_many.into());
        }
        let copied: usize = blobs.iter().map(copied_bytes).sum();
        start.try_reserve(copied).map_err(|_| NoMemory::for_bytes(copied))?;
        let mut len = start.len() + blobs.len() * TABLE_ENTRY_BYTES;
        for blob in &blobs {
            start.extend_from_slice(&(blob.len() as u64).to_le_bytes());
            let range = blob_range(len, blob.len() as u64);
            len = range.map_or(usize::MAX, |(_, end)| end);
        }
        if len as u64 > limits.max_frame_bytes {
            let limit = limits.max_frame_bytes;
            return Err(FrameError::TooLarge { length: len as u64, limit }.into());
        }
        let header = Header { total: len, body, blobs: blobs.len() }.to_bytes();
        start[..HEADER_BYTES]
            .copy_from_slice(&header.ok_or(CodecError::BodyTooLarge { length: body })?);

        let mut parts = Vec::with_capacity(1);
        let mut written = start.len();
        for blob in blobs {
            let padding = written.next_multiple_of(super::BLOB_ALIGNMENT) - written;
            start.resize(start.len() + padding, 0);
            written += padding + blob.len();
            if blob.len() <= COPIED_BLOB_BYTES {
                start.extend_from_slice(&blob);
            } else {
                push_part(&mut parts, std::mem::take(&mut start).into());
                push_part(&mut parts, blob);
            }
        }
        push_part(&mut parts, start.into());
        Ok(Self { parts, len, descriptor: None })
    }

    /// The same frame with a descriptor to send with its first byte, over a [`Socket`].
    #[must_use]
    pub fn with_descriptor(self, descriptor: OwnedFd) -> Self {
        Self { descriptor: Some(Arc::new(descriptor)), ..self }
    }

    /// Length of the whole frame, in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty: it has a header")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the frame is one piece, which shares no memory with the message's payloads.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.parts.len() <= 1
    }

    /// The frame in one piece, as a [`FrameReader`](super::FrameReader) on the other side yields
    /// it.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        if let [whole] = self.parts.as_slice() {
            return whole.clone();
        }
        self.parts.concat().into()
    }

    /// Writes the whole frame to a blocking stream, with one call if the stream accepts all of it.
    /// For a non-blocking stream use [`FrameWriter`].
    ///
    /// # Errors
    ///
    /// Errors of the stream, after which part of the frame may have been written. `Unsupported` for
    /// a frame with a descriptor.
    pub fn write_to(&self, stream: &mut impl Write) -> io::Result<()> {
        if self.descriptor.is_some() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if let [whole] = self.parts.as_slice() {
            return stream.write_all(whole);
        }
        let parts = self.parts.iter().cloned().map(|bytes| Part { bytes, descriptor: None });
        write_parts(&mut parts.collect(), stream, |_, _| Err(io::ErrorKind::Unsupported.into()))
    }
}

/// A queued piece of a frame, with the descriptor to send with its first byte.
#[derive(Debug)]
struct Part {
    bytes: Bytes,
    descriptor: Option<Arc<OwnedFd>>,
}

/// Bytes that a blob adds to the piece that begins with the header.
fn copied_bytes(blob: &Bytes) -> usize {
    let own = if blob.len() <= COPIED_BLOB_BYTES { blob.len() } else { 0 };
    TABLE_ENTRY_BYTES + super::BLOB_ALIGNMENT + own
}

fn push_part(parts: &mut Vec<Bytes>, part: Bytes) {
    if !part.is_empty() {
        parts.push(part);
    }
}

/// A queue of frames that wait until a non-blocking stream accepts them.
#[derive(Debug, Default)]
pub struct FrameWriter {
    parts: VecDeque<Part>,
}

impl FrameWriter {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a frame to the queue.
    pub fn push(&mut self, frame: Frame) {
        let mut descriptor = frame.descriptor;
        let part = |bytes| Part { bytes, descriptor: descriptor.take() };
        self.parts.extend(frame.parts.into_iter().map(part));
    }

    /// True when no bytes wait.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Number of bytes that wait.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }

    /// Writes as much as the stream accepts; true when no bytes are left. False when the stream
    /// would block: call again when it is writable.
    ///
    /// # Errors
    ///
    /// Errors of the stream, except `WouldBlock` and `Interrupted`; `Unsupported` for a frame with
    /// a descriptor.
    pub fn write_to(&mut self, stream: &mut impl Write) -> io::Result<bool> {
        is_all(write_parts(&mut self.parts, stream, |_, _| Err(io::ErrorKind::Unsupported.into())))
    }

    /// As [`FrameWriter::write_to`], but also sends the frames' descriptors.
    ///
    /// # Errors
    ///
    /// Errors of the socket, except `WouldBlock` and `Interrupted`.
    pub fn write_to_socket(&mut self, socket: &mut Socket<'_>) -> io::Result<bool> {
        let plain = *socket;
        is_all(write_parts(&mut self.parts, socket, |bytes, descriptor| {
            plain.send_with(bytes, descriptor)
        }))
    }
}

fn is_all(written: io::Result<()>) -> io::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes parts until none is left or the stream fails, and removes the bytes that the stream
/// accepted.
fn write_parts(
    parts: &mut VecDeque<Part>,
    stream: &mut impl Write,
    mut send_with: impl FnMut(&[u8], BorrowedFd<'_>) -> io::Result<usize>,
) -> io::Result<()> {
    while let Some(first) = parts.front() {
        let written = if let Some(descriptor) = &first.descriptor {
            send_with(&first.bytes, descriptor.as_fd())
        } else {
            let mut pieces = [IoSlice::new(&[]); PIECES_PER_WRITE];
            let plain = parts.iter().take_while(|part| part.descriptor.is_none());
            let mut count = 0;
            for (piece, part) in pieces.iter_mut().zip(plain) {
                *piece = IoSlice::new(&part.bytes);
                count += 1;
            }
            stream.write_vectored(&pieces[..count])
        };
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => drop_front(parts, taken),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes the first `count` bytes, which were sent, and the descriptors that went with them.
fn drop_front(parts: &mut VecDeque<Part>, mut count: usize) {
    while let Some(front) = parts.front_mut() {
        if count > 0 {
            front.descriptor = None;
        }
        if front.bytes.len() > count {
            front.bytes.advance(count);
            return;
        }
        count -= front.bytes.len();
        parts.pop_front();
    }
}
