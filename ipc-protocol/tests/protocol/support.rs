//! Helpers: a second implementation of the frame layout, and equality by bits.

use bytes::Bytes;
use ipc_protocol::codec;
use ipc_protocol::patience::Report;
use ipc_protocol::to_worker::{Item, Step};
use ipc_protocol::visit::Message;
use ipc_protocol::{CodecError, Limits, ToWorker, Value};

/// A frame written from the specification alone, so that tests can lie in it.
pub(crate) fn raw_frame(body: &[u8], blobs: &[&[u8]]) -> Vec<u8> {
    let mut frame = b"RMF\n\0\0\0\0".to_vec();
    frame.extend([0; 8]);
    frame.extend((body.len() as u32).to_le_bytes());
    frame.extend((blobs.len() as u32).to_le_bytes());
    frame.extend(body);
    for blob in blobs {
        frame.extend((blob.len() as u64).to_le_bytes());
    }
    for blob in blobs {
        frame.resize(frame.len().next_multiple_of(64), 0);
        frame.extend(*blob);
    }
    let total = frame.len() as u64;
    frame[8..16].copy_from_slice(&total.to_le_bytes());
    frame
}

/// The body of an `Item` message (stage 0, call 0, window 1) around an encoded value.
pub(crate) fn item_body(value: &[u8]) -> Vec<u8> {
    [b"\x81\xa4Item\x92\x93\x00\x00\x01", value].concat()
}

/// Decodes an `Item` with this encoded value and these blobs.
pub(crate) fn decode_value(value: &[u8], blobs: &[&[u8]]) -> Result<Value, CodecError> {
    let frame = raw_frame(&item_body(value), blobs);
    match codec::decode(frame.into(), &Limits::default())? {
        ToWorker::Item(item) => Ok(item.value),
        other => panic!("decoded {other:?}"),
    }
}

pub(crate) fn item(value: Value) -> ToWorker {
    ToWorker::Item(Item {
        step: Step { stage: 0, call: 0, window: 1, took: Report::ABSENT },
        value,
    })
}

pub(crate) fn encode<M: Message>(message: M) -> Bytes {
    codec::encode(message).unwrap().to_bytes()
}

/// There and back.
pub(crate) fn round_trip(value: Value) -> Value {
    match codec::decode(encode(item(value)), &Limits::default()).unwrap() {
        ToWorker::Item(item) => item.value,
        other => panic!("decoded {other:?}"),
    }
}

/// Equality with floats compared by their bits, so that NaN equals itself and -0.0 is not 0.0.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    let all =
        |a: &[Value], b: &[Value]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    match (left, right) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::List(a), Value::List(b))
        | (Value::Tuple(a), Value::Tuple(b))
        | (Value::Set(a), Value::Set(b))
        | (Value::FrozenSet(a), Value::FrozenSet(b)) => all(a, b),
        (Value::Dict(a), Value::Dict(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((k, v), (l, w))| same(k, l) && same(v, w))
        }
        _ => left == right,
    }
}
