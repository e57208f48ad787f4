//! Properties over arbitrary values, bytes and pieces.

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use ipc_protocol::codec;
use ipc_protocol::frame::{FrameReader, FrameWriter, ReadOutcome};
use ipc_protocol::from_worker::{Failed, NodeUsage, Output};
use ipc_protocol::to_worker::{
    CaptureTerms, Item, NodeClass, NodeSpec, OpenSession, SavedState, StageSpec, Step, Surroundings,
};
use ipc_protocol::{
    Array, Audio, Dtype, Fault, FaultKind, FromWorker, Limits, Opaque, Order, ToWorker, Value,
};
use num_bigint::BigInt;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_bytes::ByteBuf;

use super::fuzz_entry::decode_everything;
use super::support::{encode, item, same};

const DTYPES: [(&str, u32); 10] = [
    ("<f4", 4),
    (">f8", 8),
    ("|b1", 1),
    ("<i2", 2),
    ("<M8[ns]", 8),
    ("<U3", 12),
    ("|S5", 5),
    ("|V7", 7),
    ("<c16", 16),
    ("[('a', '<f4'), ('b', '|u1')]", 5),
];

fn array() -> impl Strategy<Value = Array> {
    let order = prop_oneof![Just(Order::C), Just(Order::Fortran)];
    (0..DTYPES.len(), vec(0u64..5, 0..4), order, any::<bool>(), any::<u8>()).prop_map(
        |(dtype, shape, order, scalar, fill)| {
            let (descr, item_bytes) = DTYPES[dtype];
            let dtype = Dtype { descr: descr.into(), item_bytes };
            let len = shape.iter().product::<u64>() as usize * item_bytes as usize;
            let data: Vec<u8> = (0..len).map(|n| (n as u8).wrapping_mul(fill)).collect();
            let scalar = scalar && shape.is_empty();
            Array { scalar, ..Array::new(dtype, shape, order, data).unwrap() }
        },
    )
}

/// An integer of any size, in the one form that it has.
fn integer(bytes: &[u8]) -> Value {
    let number = BigInt::from_signed_bytes_le(bytes);
    i64::try_from(&number).map_or(Value::BigInt(number), Value::Int)
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-130i64..300).prop_map(Value::Int),
        vec(any::<u8>(), 0..40).prop_map(|bytes| integer(&bytes)),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        ".{0,40}".prop_map(Value::Str),
        vec(any::<u8>(), 0..200).prop_map(|bytes| Value::Bytes(bytes.into())),
        Just(Value::Bytes(vec![9; 20_000].into())),
        array().prop_map(Value::Array),
        (array(), any::<u32>())
            .prop_map(|(samples, sample_rate_hz)| Value::Audio(Audio { samples, sample_rate_hz })),
        (".{0,9}", vec(any::<u8>(), 0..9)).prop_map(|(type_name, pickle)| Value::Opaque(Opaque {
            type_name,
            interpreter: "cpython-3.11".into(),
            pickle: pickle.into(),
        })),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 40, 6, |inner| {
        let items = || vec(inner.clone(), 0..6);
        prop_oneof![
            items().prop_map(Value::List),
            items().prop_map(Value::Tuple),
            items().prop_map(Value::Set),
            items().prop_map(Value::FrozenSet),
            vec((inner.clone(), inner.clone()), 0..4).prop_map(Value::Dict),
            vec(inner.clone(), 14..20).prop_map(Value::List),
        ]
    })
}

fn open() -> impl Strategy<Value = ToWorker> {
    let class = prop_oneof![
        any::<u32>().prop_map(NodeClass::Instance),
        (".{0,9}", ".{0,9}").prop_map(|(module, name)| NodeClass::Import { module, name }),
    ];
    let node = (".{0,9}", class, value(), any::<[bool; 2]>()).prop_map(
        |(node_id, class, params, [is_streaming, keeps_failed])| NodeSpec {
            node_id,
            class,
            params,
            is_streaming,
            keeps_failed,
        },
    );
    let stage =
        (any::<u32>(), vec(node, 0..4)).prop_map(|(stage, nodes)| StageSpec { stage, nodes });
    let instances = proptest::option::of(vec(any::<u8>(), 0..100));
    let directory = proptest::option::of(".{0,9}");
    let around = proptest::option::of(surroundings());
    let buffers = vec(vec(any::<u8>(), 0..100), 0..3);
    let state = (".{0,9}", vec(any::<u8>(), 0..100))
        .prop_map(|(node_id, state)| SavedState { node_id, state: state.into() });
    let capture =
        proptest::option::of((vec(any::<u8>(), 0..9), any::<u64>()).prop_map(
            |(prefix, max_bytes)| CaptureTerms { prefix: ByteBuf::from(prefix), max_bytes },
        ));
    let brought = (instances, buffers, vec(state, 0..3), capture);
    (vec(stage, 0..3), brought, vec(".{0,9}", 0..3), directory, around, any::<u64>()).prop_map(
        |(stages, brought, sys_path, working_directory, around, write_back_max_bytes)| {
            let (instances, buffers, saved, capture) = brought;
            ToWorker::Open(Box::new(OpenSession {
                stages,
                instances: instances.map(Into::into),
                sys_path,
                working_directory,
                write_back_max_bytes,
                allow_pickle: write_back_max_bytes % 2 == 0,
                surroundings: around.map(Box::new),
                buffers: buffers.into_iter().map(Into::into).collect(),
                saved,
                capture,
            }))
        },
    )
}

fn surroundings() -> impl Strategy<Value = Surroundings> {
    let bytes = || vec(any::<u8>(), 0..20).prop_map(ByteBuf::from);
    let umask = proptest::option::of(any::<u32>());
    (bytes(), vec(bytes(), 0..3), any::<bool>(), vec(bytes(), 0..3), bytes(), umask).prop_map(
        |(environment, sys_path, is_path_complete, argv, folder, umask)| Surroundings {
            environment,
            sys_path,
            is_path_complete,
            argv,
            working_directory: (!folder.is_empty()).then_some(folder),
            umask,
        },
    )
}

fn failed() -> impl Strategy<Value = FromWorker> {
    let usage = (any::<u64>(), any::<u64>()).prop_map(|(calls, busy_ns)| NodeUsage {
        calls,
        busy_ns,
        ..NodeUsage::default()
    });
    let stage = proptest::option::of(any::<u32>());
    let parts = (stage, any::<u64>(), ".{0,20}", vec(usage, 0..3), any::<Duration>());
    parts.prop_map(|(stage, call, text, usage, worked)| {
        let fault = Fault {
            kind: FaultKind::Flush,
            node_id: text.clone(),
            remote_type: text.clone(),
            message: text.clone(),
            traceback: text,
            import: None,
            detail: None,
            raised: None,
        };
        FromWorker::Failed(Failed { stage, call, fault, usage, worked: worked.into() })
    })
}

/// Gives the data in pieces of the given sizes, with a refusal between two pieces.
struct Pieces<'a> {
    data: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
    refuse: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.refuse = !self.refuse;
        if self.refuse {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let most = *self.sizes.next().unwrap();
        let mut piece = &self.data[..most.min(self.data.len())];
        let count = piece.read(buffer)?;
        self.data = &self.data[count..];
        Ok(count)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_come_back_bit_for_bit(
        value in value(), stage: u32, call: u64, window: u32, took: Duration,
    ) {
        let step = Step { stage, call, window, took: took.into() };
        let frame = encode(ToWorker::Item(Item { step, value: value.clone() }));
        let ToWorker::Item(decoded) = codec::decode(frame.clone(), &Limits::default())? else {
            return Err(TestCaseError::fail("not an item"));
        };
        prop_assert_eq!(decoded.step, step);
        prop_assert!(same(&decoded.value, &value), "{:?}", decoded.value);

        let frame = encode(FromWorker::Output(Output { stage, call, value: value.clone(), worked: took.into() }));
        let FromWorker::Output(decoded) = codec::decode(frame, &Limits::default())? else {
            return Err(TestCaseError::fail("not an output"));
        };
        prop_assert_eq!((decoded.stage, decoded.call), (stage, call));
        prop_assert!(same(&decoded.value, &value), "{:?}", decoded.value);
    }

    #[test]
    fn messages_come_back(open in open(), failed in failed()) {
        let frame = encode(open);
        let again: ToWorker = codec::decode(frame.clone(), &Limits::default())?;
        prop_assert_eq!(encode(again), frame);
        let again: FromWorker = codec::decode(encode(failed.clone()), &Limits::default())?;
        prop_assert_eq!(again, failed);
    }

    #[test]
    fn arbitrary_bytes_never_panic(data in vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(decode_everything(&data), 0);
        let body = super::support::item_body(&data);
        decode_everything(&super::support::raw_frame(&body, &[b"blob"]));
    }

    #[test]
    fn mutated_frames_never_panic(value in value(), edits in vec((any::<u16>(), any::<u8>()), 1..6)) {
        let mut frame = encode(item(value)).to_vec();
        for (at, byte) in edits {
            let at = usize::from(at) % frame.len();
            frame[at] = byte;
        }
        decode_everything(&frame);
    }

    #[test]
    fn pieces_equal_the_whole(
        values in vec(value(), 1..5),
        sizes in vec(1usize..5000, 1..8),
    ) {
        let mut writer = FrameWriter::new();
        let mut whole = Vec::new();
        let mut frames = Vec::new();
        for value in values {
            let frame = codec::encode(item(value))?;
            frames.push(frame.to_bytes());
            writer.push(frame);
        }
        prop_assert!(writer.write_to(&mut whole).is_ok_and(|all| all));
        let mut stream = Pieces { data: &whole, sizes: sizes.iter().cycle(), refuse: false };
        let mut reader = FrameReader::new(Limits::default());
        let mut read: Vec<Bytes> = Vec::new();
        loop {
            match reader.read_from(&mut stream)? {
                ReadOutcome::Frame(frame) => read.push(frame),
                ReadOutcome::WouldBlock => {}
                ReadOutcome::Closed => break,
            }
        }
        prop_assert_eq!(read, frames);
    }
}
