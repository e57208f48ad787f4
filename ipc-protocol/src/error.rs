//! Errors between bytes and messages. The errors of a single array are [`ArrayError`], those of
//! protocol versions [`VersionError`](crate::version::VersionError).

use std::io;

use thiserror::Error;

use crate::array::ArrayError;
use crate::memory::NoMemory;

/// Why bytes are not a valid frame. A connection that delivered such bytes cannot be used any more.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The frame does not begin with the magic bytes.
    #[error("not a RemoteMedia frame: it begins with the bytes {found:02x?}")]
    BadMagic {
        /// The first bytes of the frame, four at most.
        found: Vec<u8>,
    },
    /// The frame has flags that this version does not know.
    #[error("frame has unknown flags {flags:#010x}")]
    UnknownFlags {
        /// Flags field of the header.
        flags: u32,
    },
    /// The frame is longer than the connection allows.
    #[error("frame of {length} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Declared length of the whole frame, in bytes.
        length: u64,
        /// `max_frame_bytes` of the connection.
        limit: u64,
    },
    /// The frame has more blobs than the connection allows.
    #[error("frame with {count} blobs exceeds the limit of {limit} blobs")]
    TooManyBlobs {
        /// Number of blobs in the frame.
        count: u64,
        /// `max_blobs` of the connection.
        limit: u32,
    },
    /// The lengths of the frame's parts do not add up to its length, or bytes follow it.
    #[error("frame is {declared} bytes long, but its parts need {needed}")]
    LengthMismatch {
        /// Length of the whole frame, as its header declares it, in bytes.
        declared: u64,
        /// Length of header, body, table and blobs together, in bytes; `u64::MAX` on overflow.
        needed: u64,
    },
    /// A padding byte between two parts of the frame is not zero.
    #[error("frame has a padding byte other than zero at offset {offset}")]
    DirtyPadding {
        /// Offset of the byte from the start of the frame.
        offset: usize,
    },
    /// The stream ended inside a frame.
    #[error("stream ended inside a frame, after {received} bytes of it")]
    Truncated {
        /// Bytes of the frame that arrived.
        received: usize,
        /// Length of the whole frame, in bytes; `None` when its header did not arrive.
        expected: Option<u64>,
    },
    /// The memory for the frame could not be allocated.
    #[error(transparent)]
    OutOfMemory(#[from] NoMemory),
    /// Reading from the stream failed.
    #[error("cannot read from the peer: {0}")]
    Io(#[from] io::Error),
}

/// Why a frame is not a valid message, or why a message cannot be encoded as a frame.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The bytes are not exactly one frame within the limits.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The memory for a message, or for what it is made of, could not be allocated.
    #[error(transparent)]
    OutOfMemory(#[from] NoMemory),
    /// The first message is not the `Hello` of a RemoteMedia worker.
    #[error("first message begins with {found:?}, so the peer is not a RemoteMedia worker")]
    WrongMagic {
        /// The text in the place of the magic word.
        found: String,
    },
    /// The message has a name that this version does not know.
    #[error("unknown {expected} message {name:?}")]
    UnknownMessage {
        /// Kind of message that was expected: `ToWorker` or `FromWorker`.
        expected: &'static str,
        /// Name of the message, as the peer sent it.
        name: String,
    },
    /// The body does not decode as a message of the expected kind.
    #[error("malformed {message} message at byte {offset} of its body: {reason}")]
    Malformed {
        /// Kind of message that was expected.
        message: &'static str,
        /// Offset in the body at which decoding failed, in bytes.
        offset: usize,
        /// Error text of the decoder.
        reason: String,
    },
    /// The body holds further bytes behind the message.
    #[error("{count} bytes too many behind the {message} message")]
    TrailingBytes {
        /// Kind of message.
        message: &'static str,
        /// Number of the further bytes.
        count: usize,
    },
    /// A value nests containers deeper than the connection allows.
    #[error("value is nested deeper than {limit} levels")]
    TooDeep {
        /// Largest allowed depth, in containers.
        limit: u32,
    },
    /// A payload refers to a blob that the frame does not have, or that another payload already
    /// refers to.
    #[error("the frame has {count} blobs and not blob {index}, or two payloads refer to it")]
    BlobMissing {
        /// Number of the blob, as the payload gives it.
        index: u32,
        /// Number of blobs in the frame.
        count: usize,
    },
    /// The frame has a blob that no payload refers to.
    #[error("no payload of the message refers to blob {index} of its frame")]
    BlobUnused {
        /// Number of the blob.
        index: usize,
    },
    /// The dtype, shape and data of an array do not agree.
    #[error("invalid array: {0}")]
    Array(#[from] ArrayError),
    /// A payload of the message to encode has no bytes: it was not decoded by
    /// [`decode`](crate::codec::decode).
    #[error("payload has no bytes: it refers to blob {index} of a frame that was not decoded")]
    DetachedPayload {
        /// Number of the blob that the payload refers to.
        index: u32,
    },
    /// The message breaks the rules of shared memory.
    #[error("shared memory: {0}")]
    Lease(#[from] LeaseError),
    /// The message without its blobs is too long for the header's 32-bit length of the body.
    #[error("message body of {length} bytes is too large; put large data in arrays or bytes")]
    BodyTooLarge {
        /// Length of the body, in bytes.
        length: usize,
    },
    /// The serializer refused the message.
    #[error("cannot encode the {message} message: {reason}")]
    Unencodable {
        /// Kind of message.
        message: &'static str,
        /// Error text of the serializer.
        reason: String,
    },
}

impl CodecError {
    /// Whether memory is all that was missing.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::OutOfMemory(_) | Self::Frame(FrameError::OutOfMemory(_)))
    }
}

/// Why a peer's message about shared memory is refused.
#[derive(Debug, Error)]
pub enum LeaseError {
    /// The message refers to shared memory on a connection that has none.
    #[error("a message refers to shared memory, but none was agreed on")]
    NoSharedMemory,
    /// The segment was never announced, or has been detached.
    #[error("segment {segment} is not known: never announced, or detached")]
    UnknownSegment {
        /// The peer's number for the segment.
        segment: u32,
    },
    /// The segment's number is already in use on this connection.
    #[error("segment {segment} is announced a second time")]
    SegmentTwice {
        /// The peer's number for the segment.
        segment: u32,
    },
    /// The bytes do not lie completely in their segment or loan.
    #[error("{length} bytes at offset {offset} are not within the available {available} bytes")]
    OutOfBounds {
        /// Offset of the first byte, from the start of the segment or loan.
        offset: u64,
        /// Number of bytes.
        length: u64,
        /// Length of the segment or loan, in bytes.
        available: u64,
    },
    /// The lease was not granted, or has ended.
    #[error("lease {lease} was not granted or has ended")]
    UnknownLease {
        /// Number of the lease.
        lease: u64,
    },
    /// The lease has the number of one that has not ended.
    #[error("lease {lease} is granted a second time")]
    LeaseTwice {
        /// Number of the lease.
        lease: u64,
    },
    /// The peer has more bytes of shared memory mapped here than it may have.
    #[error("segments of {bytes} bytes together are more than the allowed {limit} bytes")]
    TooMuch {
        /// Length of all its segments, the new one included, in bytes.
        bytes: u64,
        /// Largest allowed sum, in bytes: twice the agreed `max_bytes`.
        limit: u64,
    },
    /// The peer has more segments than one connection may have.
    #[error("more than {limit} segments are announced")]
    TooMany {
        /// Largest allowed number of segments.
        limit: usize,
    },
    /// The descriptor that belongs to a segment did not come with its announcement.
    #[error("segment {segment} came without its descriptor")]
    NoDescriptor {
        /// The peer's number for the segment.
        segment: u32,
    },
    /// The segment cannot be mapped, or is not what was announced.
    #[error("segment {segment} of {bytes} bytes cannot be mapped: {source}")]
    Unmappable {
        /// The peer's number for the segment.
        segment: u32,
        /// Length of the segment, as announced.
        bytes: u64,
        /// Error of the mapping.
        source: io::Error,
    },
}
