//! What can go wrong between bytes and messages. What can be wrong with an array alone is
//! [`ArrayError`]; versions that do not fit are [`VersionError`](crate::version::VersionError).

use std::io;

use thiserror::Error;

use crate::array::ArrayError;

/// A stream of bytes that is not a stream of frames. The connection cannot be used any more.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The frame does not begin with the four bytes that every frame begins with.
    #[error("not a RemoteMedia frame: it begins with the bytes {found:02x?}")]
    BadMagic {
        /// The first bytes, four at most.
        found: Vec<u8>,
    },
    /// A flag that this version does not know.
    #[error("frame has unknown flags {flags:#010x}")]
    UnknownFlags {
        /// The flags field.
        flags: u32,
    },
    /// The frame is larger than the limit of the connection.
    #[error("frame of {length} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Declared length of the whole frame, in bytes.
        length: u64,
        /// `max_frame_bytes` of the connection.
        limit: u64,
    },
    /// The frame has more blobs than the limit of the connection.
    #[error("frame with {count} blobs has more than the limit of {limit}")]
    TooManyBlobs {
        /// Number of blobs.
        count: u64,
        /// `max_blobs` of the connection.
        limit: u32,
    },
    /// The lengths of the frame's parts do not add up to its length, or bytes trail it.
    #[error("frame is {declared} bytes long, but its parts need {needed}")]
    LengthMismatch {
        /// Length of the whole frame, in bytes.
        declared: u64,
        /// Length that header, body, table and blobs have together; `u64::MAX` when the sum overflows.
        needed: u64,
    },
    /// A byte between two parts is not zero.
    #[error("frame has a padding byte that is not zero at offset {offset}")]
    DirtyPadding {
        /// Offset from the start of the frame.
        offset: usize,
    },
    /// The stream ended inside a frame.
    #[error("stream ended inside a frame, after {received} bytes of it")]
    Truncated {
        /// Bytes of the frame that arrived.
        received: usize,
        /// Length of the frame, when its header arrived.
        expected: Option<u64>,
    },
    /// There is no memory for the frame.
    #[error("no memory for a frame of {length} bytes")]
    OutOfMemory {
        /// Length of the whole frame.
        length: u64,
    },
    /// Reading failed.
    #[error("cannot read from the peer: {0}")]
    Io(#[from] io::Error),
}

/// A frame that is not a message, or a message that cannot become a frame.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The bytes are not one frame within the limits.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The first message is not a RemoteMedia worker's.
    #[error("first message begins with {found:?}, so the peer is not a RemoteMedia worker")]
    WrongMagic {
        /// What stands in the place of the magic word.
        found: String,
    },
    /// A message that this version does not know.
    #[error("unknown {expected} message {name:?}")]
    UnknownMessage {
        /// Kind of message that was expected here.
        expected: &'static str,
        /// The name that the peer gave.
        name: String,
    },
    /// The body is not an encoding of the message.
    #[error("malformed {message} message at byte {offset} of its body: {reason}")]
    Malformed {
        /// Kind of message that was expected.
        message: &'static str,
        /// How far the body was read, in bytes.
        offset: usize,
        /// What the decoder found.
        reason: String,
    },
    /// Bytes follow the message inside its body.
    #[error("{count} bytes follow the {message} message in its body")]
    TrailingBytes {
        /// Kind of message.
        message: &'static str,
        /// Number of bytes too many.
        count: usize,
    },
    /// Containers stand deeper inside each other than the connection allows.
    #[error("value is nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: u32,
    },
    /// A payload refers to a blob that the frame does not have, or that another payload took.
    #[error("message refers to blob {index}, which is taken or not among the frame's {count}")]
    BlobMissing {
        /// The number that the payload gives.
        index: u32,
        /// Number of blobs in the frame.
        count: usize,
    },
    /// A blob that no payload refers to.
    #[error("no payload of the message refers to blob {index} of its frame")]
    BlobUnused {
        /// Number of the blob.
        index: usize,
    },
    /// An array that is not what it says.
    #[error("invalid array: {0}")]
    Array(#[from] ArrayError),
    /// A payload that was read outside [`decode`](crate::codec::decode) and so has no bytes.
    #[error("payload refers to blob {index} of another frame and has no bytes")]
    DetachedPayload {
        /// The number in it.
        index: u32,
    },
    /// What the message says about shared memory is not so.
    #[error("shared memory: {0}")]
    Lease(#[from] LeaseError),
    /// The part of the message outside its blobs does not fit the frame's 32-bit length.
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
        /// The serializer's word.
        reason: String,
    },
}

/// What a peer says about shared memory is wrong.
#[derive(Debug, Error)]
pub enum LeaseError {
    /// The connection has no shared memory.
    #[error("a message refers to shared memory, and none was agreed on")]
    NoSharedMemory,
    /// A segment that was never announced, or is gone.
    #[error("segment {segment} is not known")]
    UnknownSegment {
        /// The peer's number for it.
        segment: u32,
    },
    /// A number that was used before.
    #[error("segment {segment} is announced a second time")]
    SegmentTwice {
        /// The peer's number for it.
        segment: u32,
    },
    /// Bytes that are not all in their segment or lease.
    #[error("{length} bytes at offset {offset} are not within the {available} that are there")]
    OutOfBounds {
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u64,
        /// Length of the segment or of the lent bytes.
        available: u64,
    },
    /// A lease that was not granted, or has ended.
    #[error("lease {lease} was not granted or has ended")]
    UnknownLease {
        /// Its number.
        lease: u64,
    },
    /// A number of a lease that has not ended.
    #[error("lease {lease} is granted a second time")]
    LeaseTwice {
        /// Its number.
        lease: u64,
    },
    /// The peer makes more shared memory than was agreed on.
    #[error("segments of {bytes} bytes together are more than the agreed {limit}")]
    TooMuch {
        /// Length of all segments.
        bytes: u64,
        /// What was agreed on.
        limit: u64,
    },
    /// The peer makes more pieces of shared memory than one connection may have.
    #[error("more than {limit} segments are announced")]
    TooMany {
        /// How many there may be.
        limit: usize,
    },
    /// A segment that should have come with a descriptor came without.
    #[error("segment {segment} came without its descriptor")]
    NoDescriptor {
        /// The peer's number for it.
        segment: u32,
    },
    /// A segment cannot be mapped.
    #[error("segment {segment} of {bytes} bytes cannot be mapped: {source}")]
    Unmappable {
        /// The peer's number for it.
        segment: u32,
        /// Its length, as announced.
        bytes: u64,
        /// Why.
        source: io::Error,
    },
}
