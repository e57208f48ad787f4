//! Encodes messages as frames and decodes them; the only file that names MessagePack.
//! `codec/wire.rs` has the form of values in a body, `codec/payloads.rs` moves payloads between
//! message and frame and checks them, `codec/room.rs` asks for memory, `frame.rs` has the bytes of a frame.

mod payload_wire;
mod payloads;
mod room;
mod wire;

use std::io::ErrorKind;

use bytes::Bytes;
use rmp_serde::decode::Error as DecodeError;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::CodecError;
use crate::frame::{Frame, HEADER_BYTES, Parts};
use crate::limits::Limits;
use crate::visit::Message;
use room::Growing;

/// Bytes that are reserved for header and body: enough for a usual message, so that encoding
/// allocates once.
const USUAL_START_BYTES: usize = 256;
/// Nesting of MessagePack containers in a message besides that of its values: those around a value,
/// and those inside an audio value.
const MESSAGE_DEPTH: u32 = 12;

/// Encodes a message as a frame within the default limits.
///
/// # Errors
///
/// As [`encode_within`].
pub fn encode<M: Message>(message: M) -> Result<Frame, CodecError> {
    encode_within(message, &Limits::default())
}

/// Encodes a message as a frame within a peer's limits.
///
/// # Errors
///
/// [`CodecError`] when the dtype, shape and data of an array do not agree, values are nested too
/// deep, the frame would exceed the limits, or there is no memory for it.
pub fn encode_within<M: Message>(mut message: M, limits: &Limits) -> Result<Frame, CodecError> {
    let blobs = payloads::detach(&mut message, limits)?;
    let mut start = Vec::with_capacity(USUAL_START_BYTES + copied_bytes(&blobs));
    start.resize(HEADER_BYTES, 0);
    let mut start = Growing { bytes: start, refused: None };
    rmp_serde::encode::write(&mut start, &message).map_err(|error| match start.refused {
        Some(refused) => CodecError::OutOfMemory(refused),
        None => CodecError::Unencodable { message: M::NAME, reason: error.to_string() },
    })?;
    Frame::assemble(start.bytes, blobs, limits)
}

/// Decodes the message of one whole frame, as a [`FrameReader`](crate::frame::FrameReader) yields
/// it. Arrays, bytes and pickles share the frame's memory.
///
/// # Errors
///
/// [`CodecError`] for anything that is wrong with the frame or the message. The connection to the
/// peer should then be ended. No bytes make this function panic.
pub fn decode<M: Message>(frame: Bytes, limits: &Limits) -> Result<M, CodecError> {
    let mut message = decode_unresolved(frame, limits)?;
    payloads::refuse_placed(&mut message, limits)?;
    Ok(message)
}

/// As [`decode`], but payloads in shared memory stay references without bytes; the exchange looks
/// them up afterwards.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_unresolved<M: Message>(frame: Bytes, limits: &Limits) -> Result<M, CodecError> {
    let Parts { body, blobs } = Parts::split(&frame, limits)?;
    drop(frame);
    check_name::<M>(&body)?;
    room::begin();
    let decoded = decode_body(&body, limits);
    if let Some(refused) = room::take_refusal() {
        return Err(refused.into());
    }
    let mut message: M = match decoded {
        Some(message) => message,
        None => decode_counting(&body, limits)?,
    };
    message.check()?;
    payloads::attach(&mut message, blobs, limits)?;
    Ok(message)
}

fn message_depth(limits: &Limits) -> usize {
    (limits.depth() + MESSAGE_DEPTH) as usize
}

/// Decodes a body without copying its texts twice. `None` when anything is wrong with it.
fn decode_body<M: Message>(body: &[u8], limits: &Limits) -> Option<M> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(body);
    deserializer.set_max_depth(message_depth(limits));
    let message = M::deserialize(&mut deserializer).ok()?;
    match IgnoredAny::deserialize(&mut deserializer) {
        Err(DecodeError::InvalidMarkerRead(end)) if end.kind() == ErrorKind::UnexpectedEof => {
            Some(message)
        }
        _ => None,
    }
}

/// As [`decode_body`], slower, with errors that say where in the body the problem is.
fn decode_counting<M: Message>(body: &[u8], limits: &Limits) -> Result<M, CodecError> {
    let mut rest = body;
    let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
    deserializer.set_max_depth(message_depth(limits));
    let decoded = M::deserialize(&mut deserializer);
    let message = decoded.map_err(|error| match error {
        DecodeError::DepthLimitExceeded => CodecError::TooDeep { limit: limits.depth() },
        error => CodecError::Malformed {
            message: M::NAME,
            offset: body.len() - rest.len(),
            reason: error.to_string(),
        },
    })?;
    if !rest.is_empty() {
        return Err(CodecError::TrailingBytes { message: M::NAME, count: rest.len() });
    }
    Ok(message)
}

/// Room for small blobs, which are copied behind the body into the same buffer, in bytes.
fn copied_bytes(blobs: &[Bytes]) -> usize {
    blobs
        .iter()
        .map(|blob| blob.len() + 2 * crate::frame::BLOB_ALIGNMENT)
        .sum::<usize>()
        .min(16 << 10)
}

/// Refuses unknown messages before they are decoded. A named message is either its name alone or a
/// map with the name as its only key.
fn check_name<M: Message>(body: &[u8]) -> Result<(), CodecError> {
    if M::VARIANTS.is_empty() {
        return Ok(());
    }
    let malformed = || CodecError::Malformed {
        message: M::NAME,
        offset: 0,
        reason: "a message must begin with its name".to_owned(),
    };
    let name = leading_name(body).ok_or_else(malformed)?;
    if M::VARIANTS.contains(&name) {
        return Ok(());
    }
    Err(CodecError::UnknownMessage { expected: M::NAME, name: name.to_owned() })
}

fn leading_name(body: &[u8]) -> Option<&str> {
    let name = match body {
        [0x81, rest @ ..] => rest,
        all => all,
    };
    let (length, text) = match name {
        [marker @ 0xa0..=0xbf, rest @ ..] => (usize::from(marker & 0x1f), rest),
        [0xd9, length, rest @ ..] => (usize::from(*length), rest),
        _ => return None,
    };
    std::str::from_utf8(text.get(..length)?).ok()
}
