//! Frames: the bytes of one message and its payloads on a stream. The codec decodes the message in
//! a frame and checks its payloads. A blob is the bytes of one payload.
//!
//! Header (24 bytes, little-endian), body, table of blob lengths (u64 each), then the blobs, each
//! starting at the next multiple of 64 bytes from the frame's start.

mod descriptors;
mod reader;
mod writer;

use bytes::Bytes;

use crate::error::FrameError;
use crate::limits::Limits;
use crate::memory::Headroom;

pub use descriptors::{DescriptorQueue, Socket};
pub use reader::{FrameReader, ReadOutcome, ReadProgress};
pub use writer::{Frame, FrameWriter};

/// First bytes of every frame, by which a wrong peer is recognised.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"RMF\n";
/// Length of the header, in bytes.
pub(crate) const HEADER_BYTES: usize = 24;
/// Blobs start at multiples of this many bytes from the frame's start. Frames that were read start
/// at such a multiple in memory too, so that arrays inside them are aligned for every element type.
pub(crate) const BLOB_ALIGNMENT: usize = 64;
/// Length of one entry of the blob table, in bytes.
const TABLE_ENTRY_BYTES: usize = size_of::<u64>();

/// The header of a frame, already checked against the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Length of the whole frame, in bytes.
    pub(crate) total: usize,
    /// Length of the body, which is the encoded message, in bytes.
    pub(crate) body: usize,
    /// Number of blobs: payloads whose bytes follow the body.
    pub(crate) blobs: usize,
}

impl Header {
    /// Parses the header; `None` while fewer than its 24 bytes have arrived. A wrong magic word is
    /// an error from its first wrong byte on.
    pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Option<Self>, FrameError> {
        let start = &bytes[..bytes.len().min(FRAME_MAGIC.len())];
        if !FRAME_MAGIC.starts_with(start) {
            return Err(FrameError::BadMagic { found: start.to_vec() });
        }
        let (Some(flags), Some(total), Some(body), Some(blobs)) =
            (u32_at(bytes, 4), u64_at(bytes, 8), u32_at(bytes, 16), u32_at(bytes, 20))
        else {
            return Ok(None);
        };
        if flags != 0 {
            return Err(FrameError::UnknownFlags { flags });
        }
        let too_large = FrameError::TooLarge { length: total, limit: limits.max_frame_bytes };
        if total > limits.max_frame_bytes {
            return Err(too_large);
        }
        if blobs > limits.max_blobs {
            return Err(FrameError::TooManyBlobs {
                count: u64::from(blobs),
                limit: limits.max_blobs,
            });
        }
        let needed =
            HEADER_BYTES as u64 + u64::from(body) + u64::from(blobs) * TABLE_ENTRY_BYTES as u64;
        if needed > total || (blobs == 0 && needed != total) {
            return Err(FrameError::LengthMismatch { declared: total, needed });
        }
        match (usize::try_from(total), usize::try_from(body), usize::try_from(blobs)) {
            (Ok(total), Ok(body), Ok(blobs)) => Ok(Some(Self { total, body, blobs })),
            _ => Err(too_large),
        }
    }

    /// Encodes the header; `None` when a number does not fit its field.
    pub(crate) fn to_bytes(self) -> Option<[u8; HEADER_BYTES]> {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&FRAME_MAGIC);
        bytes[8..16].copy_from_slice(&u64::try_from(self.total).ok()?.to_le_bytes());
        bytes[16..20].copy_from_slice(&u32::try_from(self.body).ok()?.to_le_bytes());
        bytes[20..24].copy_from_slice(&u32::try_from(self.blobs).ok()?.to_le_bytes());
        Some(bytes)
    }
}

/// The parts of a whole frame; they share the frame's memory.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The encoded message.
    pub(crate) body: Bytes,
    /// The bytes of each payload.
    pub(crate) blobs: Vec<Bytes>,
}

impl Parts {
    /// Splits one whole frame into its parts and checks that they fill it exactly.
    pub(crate) fn split(frame: &Bytes, limits: &Limits) -> Result<Self, FrameError> {
        let Some(header) = Header::parse(frame, limits)? else {
            return Err(FrameError::Truncated { received: frame.len(), expected: None });
        };
        if header.total > frame.len() {
            let expected = Some(header.total as u64);
            return Err(FrameError::Truncated { received: frame.len(), expected });
        }
        let mismatch = |needed| FrameError::LengthMismatch { declared: frame.len() as u64, needed };
        if header.total < frame.len() {
            return Err(mismatch(header.total as u64));
        }
        // Body and table lie within the frame: `Header::parse` has checked that.
        let table = HEADER_BYTES + header.body;
        let mut end = table + header.blobs * TABLE_ENTRY_BYTES;
        Headroom::default().take(header.blobs * size_of::<Bytes>())?;
        let mut blobs = Vec::with_capacity(header.blobs);
        for index in 0..header.blobs {
            let Some(length) = u64_at(frame, table + index * TABLE_ENTRY_BYTES) else {
                return Err(mismatch(u64::MAX));
            };
            let (start, next) = blob_range(end, length).ok_or_else(|| mismatch(u64::MAX))?;
            if next > frame.len() {
                return Err(mismatch(next as u64));
            }
            if let Some(dirty) = frame[end..start].iter().position(|byte| *byte != 0) {
                return Err(FrameError::DirtyPadding { offset: end + dirty });
            }
            blobs.push(frame.slice(start..next));
            end = next;
        }
        if end != frame.len() {
            return Err(mismatch(end as u64));
        }
        Ok(Self { body: frame.slice(HEADER_BYTES..table), blobs })
    }
}

/// Start and end offset of a blob of `length` bytes whose predecessor ends at `end`; `None` on
/// overflow.
fn blob_range(end: usize, length: u64) -> Option<(usize, usize)> {
    let start = end.checked_next_multiple_of(BLOB_ALIGNMENT)?;
    Some((start, start.checked_add(usize::try_from(length).ok()?)?))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().copied().map(u64::from_le_bytes)
}
