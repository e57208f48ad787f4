//! A peer that is wrong or hostile: typed errors, no panic, no memory for what did not arrive.

use bytes::Bytes;
use ipc_protocol::array::{Array, ArrayError};
use ipc_protocol::codec::{self, encode_within};
use ipc_protocol::limits::DEPTH_CEILING;
use ipc_protocol::{CodecError, FrameError, FromWorker, Hello, Limits, ToWorker, Value};

use super::support::{decode_value, encode, item, item_body, raw_frame};

fn decode(frame: impl Into<Bytes>) -> Result<ToWorker, CodecError> {
    codec::decode(frame.into(), &Limits::default())
}

fn frame_error(frame: impl Into<Bytes>) -> FrameError {
    match decode(frame) {
        Err(CodecError::Frame(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn frames_are_checked_part_by_part() {
    let good = raw_frame(b"\xa5Close", &[]);
    assert_eq!(decode(good.clone()).unwrap(), ToWorker::Close);
    let with = |at: usize, bytes: &[u8]| {
        let mut frame = good.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    assert!(matches!(frame_error(with(0, b"GET ")), FrameError::BadMagic { .. }));
    assert!(matches!(frame_error(with(4, b"\x01")), FrameError::UnknownFlags { flags: 1 }));
    assert!(matches!(
        frame_error(with(8, &u64::MAX.to_le_bytes())),
        FrameError::TooLarge { length: u64::MAX, limit: 0x1_0000_0000 }
    ));
    assert!(matches!(frame_error(with(16, &[255; 4])), FrameError::LengthMismatch { .. }));
    assert!(matches!(
        frame_error(with(20, &[255; 4])),
        FrameError::TooManyBlobs { count: 0xffff_ffff, .. }
    ));
    assert!(matches!(frame_error(with(20, &[1])), FrameError::LengthMismatch { .. }));
    for short in 0..good.len() {
        let error = frame_error(good[..short].to_vec());
        assert!(matches!(error, FrameError::Truncated { .. }), "{short}: {error:?}");
    }
    let trailing = frame_error([good.as_slice(), b"\0"].concat());
    assert!(
        matches!(trailing, FrameError::LengthMismatch { declared: 31, needed: 30 }),
        "{trailing}"
    );
}

#[test]
fn blob_tables_are_checked() {
    let body = item_body(b"\x92\x02\x00");
    let good = raw_frame(&body, &[b"abc"]);
    assert_eq!(
        decode_value(b"\x92\x02\x00", &[b"abc"]).unwrap(),
        Value::Bytes(vec![97, 98, 99].into())
    );
    let table = 24 + body.len();
    for length in [0u64, 2, 4, 1 << 33, u64::MAX, u64::MAX - 63] {
        let mut frame = good.clone();
        frame[table..table + 8].copy_from_slice(&length.to_le_bytes());
        let error = frame_error(frame);
        assert!(matches!(error, FrameError::LengthMismatch { .. }), "{length}: {error:?}");
    }
    let mut dirty = good.clone();
    dirty[63] = 1;
    assert!(matches!(frame_error(dirty), FrameError::DirtyPadding { offset: 63 }));
}

#[test]
fn limits_of_the_connection_hold_on_both_sides() {
    let value =
        || Value::List(vec![Value::Bytes(vec![1; 1000].into()), Value::Bytes(vec![2].into())]);
    let frame = encode(item(value()));
    let len = frame.len() as u64;
    let fits = Limits { max_frame_bytes: len, max_blobs: 2, max_depth: 1 };
    codec::decode::<ToWorker>(frame.clone(), &fits).unwrap();
    encode_within(item(value()), &fits).unwrap();

    let both = |limits: &Limits| {
        let decoded = codec::decode::<ToWorker>(frame.clone(), limits).unwrap_err();
        (decoded, encode_within(item(value()), limits).unwrap_err())
    };
    let too_large = both(&Limits { max_frame_bytes: len - 1, ..fits });
    for error in [too_large.0, too_large.1] {
        assert!(
            matches!(&error, CodecError::Frame(FrameError::TooLarge { length, .. }) if *length == len),
            "{error:?}"
        );
    }
    let too_many = both(&Limits { max_blobs: 1, ..fits });
    for error in [too_many.0, too_many.1] {
        assert!(
            matches!(error, CodecError::Frame(FrameError::TooManyBlobs { count: 2, limit: 1 })),
            "{error:?}"
        );
    }
    let too_deep = both(&Limits { max_depth: 0, ..fits });
    assert!(matches!(too_deep.0, CodecError::TooDeep { limit: 0 }), "{:?}", too_deep.0);
    assert!(matches!(too_deep.1, CodecError::TooDeep { limit: 0 }), "{:?}", too_deep.1);
}

fn nested(depth: u32) -> Value {
    (0..depth).fold(Value::None, |value, _| Value::List(vec![value]))
}

/// Runs in a test thread with its 2 MiB of stack.
#[test]
fn depth_is_bounded_whatever_the_limits_say() {
    let limits = Limits { max_depth: u32::MAX, ..Limits::default() };
    let deepest = encode_within(item(nested(DEPTH_CEILING)), &limits).unwrap().to_bytes();
    codec::decode::<ToWorker>(deepest, &limits).unwrap();
    let error = encode_within(item(nested(DEPTH_CEILING + 1)), &limits).unwrap_err();
    assert!(matches!(error, CodecError::TooDeep { limit: DEPTH_CEILING }), "{error:?}");

    for levels in [DEPTH_CEILING as usize + 1, 1_000_000] {
        let value = [b"\x92\x03".repeat(levels), vec![0xc0]].concat();
        let frame = raw_frame(&item_body(&value), &[]);
        let error = codec::decode::<ToWorker>(frame.into(), &limits).unwrap_err();
        assert!(matches!(error, CodecError::TooDeep { limit: DEPTH_CEILING }), "{error:?}");
    }
    // An array inside the deepest container still fits.
    let samples = Array::from_f32(vec![1.0], [1]).unwrap();
    let audio = Value::Audio(ipc_protocol::Audio { samples, sample_rate_hz: 8000 });
    let value = (0..200).fold(audio, |value, _| Value::Tuple(vec![value]));
    decode(encode(item(value))).unwrap();
}

#[test]
fn messages_are_known_by_name() {
    let error = decode(raw_frame(b"\x81\xa4Fork\xc0", &[])).unwrap_err();
    assert!(
        matches!(&error, CodecError::UnknownMessage { expected: "ToWorker", name } if name == "Fork"),
        "{error:?}"
    );
    let error =
        codec::decode::<FromWorker>(raw_frame(b"\xa5Close", &[]).into(), &Limits::default());
    assert!(matches!(error, Err(CodecError::UnknownMessage { .. })), "a message to the wrong side");
    for body in
        [b"".as_slice(), b"\x06", b"\x81\x06\xc0", b"\x82\xa5Close", b"\xa5Clo", b"\xa2\xff\xff"]
    {
        let error = decode(raw_frame(body, &[])).unwrap_err();
        assert!(matches!(error, CodecError::Malformed { .. }), "{body:?}: {error:?}");
    }
    let error = decode(raw_frame(b"\xa5Close\xc0\xc0", &[])).unwrap_err();
    assert!(matches!(error, CodecError::TrailingBytes { count: 2, .. }), "{error:?}");
}

#[test]
fn a_stranger_is_not_a_worker() {
    let body = b"\x96\xa4ssh2\x01\xa0\xa0\xa0\x01";
    let error =
        codec::decode::<Hello>(raw_frame(body, &[]).into(), &Limits::default()).unwrap_err();
    assert!(matches!(&error, CodecError::WrongMagic { found } if found == "ssh2"), "{error:?}");
}

#[test]
fn values_are_strict() {
    let bad: &[&[u8]] = &[
        b"\x90",                                 // no tag
        b"\x92\x00\x01",                         // tag 0
        b"\x92\x0b\x01",                         // tag 11
        b"\x92\xcd\x01\x03\x01",                 // tag beyond a byte
        b"\x92\xa1x\x01",                        // tag is text
        b"\x91\x02",                             // bytes without blob
        b"\x93\x02\x00\x00",                     // bytes with two
        b"\x92\x05\x01",                         // dict with half an entry
        b"\x92\x01\xc4\x01\x05",                 // small int as big int
        b"\x92\x01\xc4\x00",                     // zero as big int
        b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", // u64 that is no i64
        b"\xc4\x01a",                            // MessagePack bin
        b"\x80",                                 // MessagePack map
        b"\xd4\x01\x01",                         // MessagePack ext
        b"\xc1",                                 // never used
        b"\xa2\xff\xfe",                         // not UTF-8
        b"\xdd\xff\xff\xff\xff\x03",             // four billion elements
        b"\xdb\xff\xff\xff\xffabc",              // four billion characters
        b"\x92\x01\xc6\xff\xff\xff\xff\x00",     // four billion digits
        b"\x93\x09\xcd\x3e\x80\xc0",             // audio of None
    ];
    for value in bad {
        let error = decode_value(value, &[]).unwrap_err();
        assert!(matches!(error, CodecError::Malformed { .. }), "{value:02x?}: {error:?}");
    }
    // A float32 is exact as a float.
    assert_eq!(decode_value(b"\xca\x3f\x00\x00\x00", &[]).unwrap(), Value::Float(0.5));
    // An int may be wider than it needs to be.
    assert_eq!(decode_value(b"\xd3\0\0\0\0\0\0\0\x07", &[]).unwrap(), Value::Int(7));
}

#[test]
fn every_blob_belongs_to_one_payload() {
    let error = decode_value(b"\x92\x02\x00", &[]).unwrap_err();
    assert!(matches!(error, CodecError::BlobMissing { index: 0, count: 0 }), "{error:?}");
    let error = decode_value(b"\x92\x02\xce\xff\xff\xff\xff", &[b"a"]).unwrap_err();
    assert!(matches!(error, CodecError::BlobMissing { index: u32::MAX, count: 1 }), "{error:?}");
    let error = decode_value(b"\x93\x03\x92\x02\x00\x92\x02\x00", &[b"a"]).unwrap_err();
    assert!(matches!(error, CodecError::BlobMissing { index: 0, count: 1 }), "{error:?}");
    let error = decode_value(b"\x92\x02\x01", &[b"a", b"b"]).unwrap_err();
    assert!(matches!(error, CodecError::BlobUnused { index: 0 }), "{error:?}");
    // In any order.
    let value = decode_value(b"\x93\x03\x92\x02\x01\x92\x02\x00", &[b"a", b"b"]).unwrap();
    let [b, a] = [b"b", b"a"].map(|text| Value::Bytes(text.to_vec().into()));
    assert_eq!(value, Value::List(vec![b, a]));
}

fn array_value(descr: &str, item_bytes: u8, shape: &[u64]) -> Vec<u8> {
    let mut value = vec![0x97, 8, 0xa0 | descr.len() as u8];
    value.extend(descr.bytes());
    value.extend([0xcc, item_bytes, 0x90 | shape.len() as u8]);
    for axis in shape {
        value.push(0xcf);
        value.extend(axis.to_be_bytes());
    }
    value.extend(b"\xa1C\xc2\x00");
    value
}

#[test]
fn shapes_and_lengths_of_a_peer_are_checked() {
    let decode = |descr, item_bytes, shape: &[u64], blob: &[u8]| match decode_value(
        &array_value(descr, item_bytes, shape),
        &[blob],
    ) {
        Ok(Value::Array(array)) => Ok(array),
        Err(CodecError::Array(error)) => Err(error),
        other => panic!("{other:?}"),
    };
    assert_eq!(decode("<f4", 4, &[2], &[0; 8]).unwrap().shape, [2]);
    let overflowing: &[&[u64]] =
        &[&[1 << 32, 1 << 32], &[u64::MAX], &[1 << 63, 2], &[0, u64::MAX, 2], &[1 << 61, 2]];
    for shape in overflowing {
        let error = decode("<f4", 4, shape, &[]).unwrap_err();
        assert!(matches!(error, ArrayError::TooLarge { .. }), "{shape:?}: {error:?}");
    }
    assert!(matches!(decode("<f4", 4, &[1 << 40], &[0; 8]), Err(ArrayError::DataLength { .. })));
    assert!(matches!(decode("<f4", 4, &[3], &[0; 8]), Err(ArrayError::DataLength { .. })));
    assert!(matches!(decode("<f4", 8, &[1], &[0; 8]), Err(ArrayError::ItemBytes { .. })));
    assert!(matches!(decode("|V0", 0, &[1], &[]), Err(ArrayError::ItemBytes { .. })));
    assert!(matches!(decode("|O", 8, &[1], &[0; 8]), Err(ArrayError::ObjectDtype { .. })));
    assert!(matches!(decode("<q4", 4, &[1], &[0; 4]), Err(ArrayError::UnknownDtype { .. })));
    let bad_order =
        [array_value("<f4", 4, &[]).strip_suffix(b"\xa1C\xc2\x00").unwrap(), b"\xa1K\xc2\x00"]
            .concat();
    assert!(matches!(decode_value(&bad_order, &[&[0; 4]]), Err(CodecError::Malformed { .. })));
}

#[test]
fn a_wrong_array_is_not_sent() {
    let mut array = Array::from_f32(vec![1.0, 2.0], [2]).unwrap();
    array.shape = vec![3];
    let error = codec::encode(item(Value::Array(array))).unwrap_err();
    assert!(matches!(error, CodecError::Array(ArrayError::DataLength { .. })), "{error:?}");
}

/// A list that says it has four billion elements must not make the decoder reserve them: were it
/// to, this test would need 400 GB.
#[test]
fn memory_follows_what_arrived() {
    for tag in [3, 4, 5, 6, 7] {
        let error = decode_value(&[0xdd, 0xff, 0xff, 0xff, 0xff, tag, 0xc0], &[]).unwrap_err();
        assert!(matches!(error, CodecError::Malformed { .. }), "{error:?}");
    }
}
