//! What the fuzz target does with its bytes. `tests/protocol/mutations.rs` runs the same on stable
//! Rust, over the golden vectors and seeded mutations of them.

use bytes::Bytes;
use ipc_protocol::codec;
use ipc_protocol::frame::{FrameReader, ReadOutcome};
use ipc_protocol::visit::Message;
use ipc_protocol::{FromWorker, Hello, Limits, ToWorker};

/// Decodes the bytes as each kind of message. Errors are fine, panics are not; and whatever decodes
/// must encode to a frame that decodes to the same. Says how many kinds of message decoded.
pub(crate) fn decode_everything(data: &[u8]) -> usize {
    let limits = Limits { max_frame_bytes: 1 << 20, max_blobs: 1 << 10, max_depth: 100 };
    let mut reader = FrameReader::new(limits);
    let mut stream = data;
    while let Ok(ReadOutcome::Frame(frame)) = reader.read_from(&mut stream) {
        assert!(frame.len() <= data.len(), "a frame is made of bytes that arrived");
    }
    let frame = Bytes::copy_from_slice(data);
    usize::from(round_trip::<ToWorker>(&frame, &limits))
        + usize::from(round_trip::<FromWorker>(&frame, &limits))
        + usize::from(round_trip::<Hello>(&frame, &limits))
}

fn round_trip<M: Message>(frame: &Bytes, limits: &Limits) -> bool {
    let Ok(message) = codec::decode::<M>(frame.clone(), limits) else { return false };
    let canonical = encoded(message);
    let again = codec::decode::<M>(canonical.clone(), &Limits::default());
    let again = again.unwrap_or_else(|error| panic!("own encoding is refused: {error}"));
    assert_eq!(encoded(again), canonical, "encoding is not stable");
    true
}

fn encoded<M: Message>(message: M) -> Bytes {
    let frame = codec::encode(message);
    frame.unwrap_or_else(|error| panic!("decoded message cannot be encoded: {error}")).to_bytes()
}
