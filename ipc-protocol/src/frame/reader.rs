//! Reading: puts whole frames together from a stream that delivers bytes in pieces of any size.

use std::io::{self, Read};

use bytes::Bytes;

use super::{BLOB_ALIGNMENT, Header};
use crate::error::FrameError;
use crate::limits::Limits;
use crate::memory::NoMemory;

#[cfg(test)]
mod tests;

/// Size of the read-ahead buffer, in bytes: a frame up to this size normally costs one system call.
const READ_AHEAD_BYTES: usize = 64 << 10;
/// Most bytes of a larger frame that are read at once.
const STEP_BYTES: usize = 256 << 10;
/// Most bytes that the reader allocates because of a header alone. It allocates more only as the
/// frame arrives, up to twice what has arrived.
const FIRST_ALLOCATION_BYTES: usize = 4 << 20;

/// Result of [`FrameReader::read_from`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOutcome {
    /// One whole frame, in memory of its own that starts at a multiple of 64 bytes.
    Frame(Bytes),
    /// A non-blocking stream has no more bytes for now; the reader keeps those of an incomplete
    /// frame.
    WouldBlock,
    /// The stream ended between two frames.
    Closed,
}

/// Result of [`FrameReader::read_some`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadProgress {
    /// Bytes arrived, or a signal interrupted the read.
    Bytes,
    /// A non-blocking stream has no more bytes for now.
    WouldBlock,
    /// The stream ended between two frames.
    Closed,
}

/// Reads frames from a blocking or non-blocking stream. The reader reads ahead, so it must serve
/// one stream for the stream's whole life. After an error the stream cannot be used any more.
#[derive(Debug)]
pub struct FrameReader {
    limits: Limits,
    ahead: Box<[u8]>,
    start: usize,
    end: usize,
    large: Option<LargeFrame>,
}

impl FrameReader {
    /// A reader that refuses frames outside the limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let ahead = vec![0; READ_AHEAD_BYTES].into_boxed_slice();
        Self { limits, ahead, start: 0, end: 0, large: None }
    }

    /// Replaces the limits; they hold from the next frame on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Reads until a frame is complete, the stream would block, or the stream ends.
    ///
    /// Frames that were read ahead are returned without a read. A caller that waits for the stream
    /// to become readable must first have seen [`ReadOutcome::WouldBlock`], or `None` from
    /// [`FrameReader::next_buffered`].
    ///
    /// # Errors
    ///
    /// [`FrameError`] when the bytes are not a frame within the limits, the stream ends inside a
    /// frame, or reading fails.
    pub fn read_from(&mut self, stream: &mut impl Read) -> Result<ReadOutcome, FrameError> {
        loop {
            if let Some(frame) = self.next_buffered()? {
                return Ok(ReadOutcome::Frame(frame));
            }
            match self.fill(stream) {
                Ok(0) => return self.at_end(),
                Ok(_) => {}
                Err(FrameError::Io(error)) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return Ok(ReadOutcome::WouldBlock),
                    _ => return Err(error.into()),
                },
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads once; [`FrameReader::next_buffered`] then returns the frames that are complete.
    ///
    /// # Errors
    ///
    /// As [`FrameReader::read_from`].
    pub fn read_some(&mut self, stream: &mut impl Read) -> Result<ReadProgress, FrameError> {
        match self.fill(stream) {
            Ok(0) => self.at_end().map(|_| ReadProgress::Closed),
            Ok(_) => Ok(ReadProgress::Bytes),
            Err(FrameError::Io(error)) => match error.kind() {
                io::ErrorKind::Interrupted => Ok(ReadProgress::Bytes),
                io::ErrorKind::WouldBlock => Ok(ReadProgress::WouldBlock),
                _ => Err(error.into()),
            },
            Err(error) => Err(error),
        }
    }

    /// The next frame, if it has been read completely. Does not read from the stream.
    ///
    /// # Errors
    ///
    /// [`FrameError`] when the bytes that were read ahead are not a frame within the limits.
    pub fn next_buffered(&mut self) -> Result<Option<Bytes>, FrameError> {
        if let Some(large) = self.large.take_if(|large| large.is_whole()) {
            return Ok(Some(large.into_bytes()));
        }
        if self.large.is_some() {
            return Ok(None);
        }
        let available = &self.ahead[self.start..self.end];
        let Some(header) = Header::parse(available, &self.limits)? else { return Ok(None) };
        if let Some(frame) = available.get(..header.total) {
            let frame = aligned_copy(frame);
            self.start += header.total;
            return Ok(Some(frame));
        }
        if header.total > self.ahead.len() {
            self.large = Some(LargeFrame::new(header.total, available)?);
            (self.start, self.end) = (0, 0);
        }
        Ok(None)
    }

    /// Reads once; returns the number of bytes. 0 means the end of the stream, because the buffer
    /// always has room.
    fn fill(&mut self, stream: &mut impl Read) -> Result<usize, FrameError> {
        if let Some(large) = &mut self.large {
            let count = stream.read(large.room()?)?;
            large.filled += count;
            return Ok(count);
        }
        // Less than one frame is left, so the buffer has room behind it.
        self.ahead.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let count = stream.read(&mut self.ahead[self.end..])?;
        self.end += count;
        Ok(count)
    }

    fn at_end(&self) -> Result<ReadOutcome, FrameError> {
        if let Some(large) = &self.large {
            let expected = Some(large.total as u64);
            return Err(FrameError::Truncated { received: large.filled, expected });
        }
        let rest = &self.ahead[self.start..self.end];
        if rest.is_empty() {
            return Ok(ReadOutcome::Closed);
        }
        let expected = Header::parse(rest, &self.limits)?.map(|header| header.total as u64);
        Err(FrameError::Truncated { received: rest.len(), expected })
    }
}

/// A frame that does not fit the read-ahead buffer, while it is being read. Bytes beyond its end
/// are not read.
#[derive(Debug)]
struct LargeFrame {
    /// `padding` bytes, then the first part of the frame, as much as memory was reserved for.
    buffer: Vec<u8>,
    padding: usize,
    filled: usize,
    total: usize,
}

impl LargeFrame {
    fn new(total: usize, start: &[u8]) -> Result<Self, FrameError> {
        let mut frame = Self { buffer: Vec::new(), padding: 0, filled: 0, total };
        frame.reserve(FIRST_ALLOCATION_BYTES.max(start.len()))?;
        frame.buffer.extend_from_slice(start);
        frame.filled = start.len();
        Ok(frame)
    }

    fn is_whole(&self) -> bool {
        self.filled == self.total
    }

    /// The memory for the next bytes; not empty before the frame is complete.
    fn room(&mut self) -> Result<&mut [u8], FrameError> {
        let step = STEP_BYTES.min(self.total - self.filled);
        if self.padding + self.filled + step > self.buffer.capacity() {
            self.reserve(self.filled.saturating_mul(2).max(self.filled + step))?;
        }
        let end = self.padding + self.filled + step;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        Ok(&mut self.buffer[self.padding + self.filled..])
    }

    /// Reserves memory for `wanted` bytes of the frame, at most for all of it, and keeps the
    /// frame's start aligned when the memory moves.
    fn reserve(&mut self, wanted: usize) -> Result<(), FrameError> {
        let capacity = wanted.min(self.total) + BLOB_ALIGNMENT;
        let additional = capacity.saturating_sub(self.buffer.len());
        self.buffer.try_reserve_exact(additional).map_err(|_| NoMemory::for_bytes(self.total))?;
        let padding = padding_of(&self.buffer);
        self.buffer.resize(self.buffer.len().max(padding + self.filled), 0);
        self.buffer.copy_within(self.padding..self.padding + self.filled, padding);
        self.padding = padding;
        self.buffer.truncate(padding + self.filled);
        Ok(())
    }

    fn into_bytes(self) -> Bytes {
        Bytes::from(self.buffer).slice(self.padding..self.padding + self.total)
    }
}

/// Copies a frame into memory of its own, so that a small array does not keep the 64 KiB of the
/// read-ahead buffer alive.
fn aligned_copy(frame: &[u8]) -> Bytes {
    let mut buffer = Vec::with_capacity(frame.len() + BLOB_ALIGNMENT);
    let padding = padding_of(&buffer);
    buffer.resize(padding, 0);
    buffer.extend_from_slice(frame);
    Bytes::from(buffer).slice(padding..)
}

/// Number of bytes from the start of the buffer's memory to its first aligned address.
fn padding_of(buffer: &[u8]) -> usize {
    // `align_offset` may return `usize::MAX`. The frame is then unaligned: slower, but correct.
    Some(buffer.as_ptr().align_offset(BLOB_ALIGNMENT)).filter(|p| *p < BLOB_ALIGNMENT).unwrap_or(0)
}
