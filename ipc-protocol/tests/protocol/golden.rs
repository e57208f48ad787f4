//! Golden vectors: the bytes of each protocol version, one file a message and a kind of value. Files
//! are only ever added: `UPDATE_VECTORS=1 cargo test -p ipc-protocol` creates those that are
//! missing and touches no other.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ipc_protocol::codec;
use ipc_protocol::from_worker::{MemoryParts, Moved};
use ipc_protocol::visit::Message;
use ipc_protocol::{FromWorker, Hello, Limits, ToWorker, Value};

use super::samples;
use super::support::{encode, round_trip, same};

const PROTOCOL: &str = include_str!("../../PROTOCOL.md");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn is_updating() -> bool {
    std::env::var_os("UPDATE_VECTORS").is_some_and(|value| value == "1")
}

/// The bytes of a vector; written first if it is new and vectors are being added.
fn vector(file: &str, encoded: &Bytes) -> Vec<u8> {
    let path = root().join(file);
    if !path.exists() && is_updating() {
        fs::write(&path, encoded).unwrap();
    }
    fs::read(&path)
        .unwrap_or_else(|error| panic!("{file}: {error}; see golden.rs on adding vectors"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a message is shown that lacks what a later version brought: as in the version before.
fn shown(message: &impl Debug) -> String {
    let memory = format!(", memory: {:?}", MemoryParts::default());
    let moved = format!(", moved: {:?}", Moved::default());
    format!("{message:?}")
        .replace(&memory, "")
        .replace(&moved, "")
        .replace(", raised: None", "")
        .replace(", described: \"\"", "")
        .replace(", keeps_failed: false", "")
        .replace(", import: None, detail: None", "")
        .replace(", detail: None", "")
        .replace(", is_told: false", "")
        .replace(", place: None", "")
        .replace(", surroundings: None", "")
        .replace(", buffers: []", "")
        .replace(", saved: []", "")
        .replace(", capture: None", "")
        .replace(", saves: false", "")
        .replace(", left: []", "")
        .replace(", took: Report(0)", "")
        .replace(", worked: Report(0)", "")
        .replace('|', "\\|")
}

fn check<M: Message + Clone + Debug>(
    version: &str,
    name: &str,
    message: &M,
    equal: impl Fn(&M, &M) -> bool,
) -> String {
    let file = format!("{version}/{name}.bin");
    let encoded = encode(message.clone());
    let golden = vector(&file, &encoded);
    assert_eq!(hex(&encoded), hex(&golden), "{file}: this build encodes {message:?} differently");
    let decoded: M = codec::decode_unresolved(golden.into(), &Limits::default()).unwrap();
    assert!(equal(&decoded, message), "{file}: decoded {decoded:?}, not {message:?}");
    format!("| {name}.bin | {} | `{}` |", M::NAME, shown(message))
}

fn equal_to_worker(left: &ToWorker, right: &ToWorker) -> bool {
    match (left, right) {
        (ToWorker::Item(a), ToWorker::Item(b)) => a.step == b.step && same(&a.value, &b.value),
        _ => left == right,
    }
}

/// spec: CARD-04: every message and kind of value of the MessagePack protocol has fixed bytes.
#[test]
fn every_vector_encodes_and_decodes_exactly() {
    check_version("v1", samples::to_worker(), samples::from_worker());
    check_version("v2", samples::to_worker_2(), samples::from_worker_2());
    check_version("v3", samples::to_worker_3(), samples::from_worker_3());
    check_version("v4", vec![], samples::from_worker_4());
    check_version("v5", samples::to_worker_5(), samples::from_worker_5());
    check_version("v6", samples::to_worker_6(), samples::from_worker_6());
}

fn check_version(
    version: &str,
    to_worker: Vec<(&'static str, ToWorker)>,
    from_worker: Vec<(&'static str, FromWorker)>,
) {
    let mut lines = Vec::new();
    for (name, message) in to_worker {
        lines.push(check(version, name, &message, equal_to_worker));
    }
    for (name, message) in from_worker {
        lines.push(check(version, name, &message, FromWorker::eq));
    }
    let index = root().join(version).join("INDEX.md");
    let mut text = fs::read_to_string(&index).unwrap_or_default();
    if is_updating() {
        for line in &lines {
            if !text.contains(line) {
                text = format!("{text}{line}\n");
            }
        }
        fs::write(&index, &text).unwrap();
    }
    for line in &lines {
        assert!(text.contains(line), "{version}/INDEX.md lacks the line\n{line}");
    }
    let files = fs::read_dir(root().join(version)).unwrap().count();
    assert_eq!(files, lines.len() + 1, "a vector that no sample makes");
    assert!(lines.len() > 1, "vectors were looked at");
}

/// The one thing that no version of the protocol may change.
const HELLO: &str = "524d460a000000003e000000000000002600000000000000\
    96ab72656d6f74656d6564696101a763707974686f6ea6332e31312e37a5312e302e30cd1267";

#[test]
fn hello_is_frozen() {
    let encoded = encode(samples::hello());
    assert_eq!(hex(&encoded), HELLO);
    let golden = vector("hello.bin", &encoded);
    assert_eq!(hex(&golden), hex(&encoded));
    let decoded: Hello = codec::decode(golden.into(), &Limits::default()).unwrap();
    assert_eq!(decoded, samples::hello());
}

fn from_worker_name(message: &FromWorker) -> &'static str {
    match message {
        FromWorker::Opened(_) => "Opened",
        FromWorker::Output(_) => "Output",
        FromWorker::Done(_) => "Done",
        FromWorker::Failed(_) => "Failed",
        FromWorker::Log(_) => "Log",
        FromWorker::Closed(_) => "Closed",
        FromWorker::Share(_) => "Share",
        FromWorker::Loaded(_) => "Loaded",
        FromWorker::Ending => "Ending",
        FromWorker::Saved(_) => "Saved",
    }
}

fn all_to_worker() -> Vec<(&'static str, ToWorker)> {
    let later = samples::to_worker_2().into_iter().chain(samples::to_worker_5());
    samples::to_worker().into_iter().chain(later).chain(samples::to_worker_6()).collect()
}

fn all_from_worker() -> Vec<(&'static str, FromWorker)> {
    let later = samples::from_worker_2().into_iter().chain(samples::from_worker_5());
    samples::from_worker().into_iter().chain(later).chain(samples::from_worker_6()).collect()
}

/// spec: CARD-04: the specification names every message with the version that brought it, and
/// there is a vector for each.
#[test]
fn every_message_is_specified_and_has_a_vector() {
    let to_worker: BTreeSet<_> = all_to_worker().iter().map(|(_, m)| m.name()).collect();
    let from_worker: BTreeSet<_> =
        all_from_worker().iter().map(|(_, m)| from_worker_name(m)).collect();
    assert_eq!(to_worker, ToWorker::VARIANTS.iter().copied().collect());
    assert_eq!(from_worker, FromWorker::VARIANTS.iter().copied().collect());
    for name in to_worker.iter().chain(&from_worker).chain(&["Hello"]) {
        let since = match *name {
            "SharedMemory" | "Share" | "Spin" => 2,
            "End" | "Ending" => 5,
            "Abort" | "Retry" | "Save" | "Restore" | "Batch" | "Saved" | "Loaded" => 6,
            _ => 1,
        };
        let heading = format!("### {name} (since {since})");
        assert!(PROTOCOL.contains(&heading), "PROTOCOL.md lacks the heading {heading:?}");
    }
}

fn sample(name: &str) -> Value {
    samples::values().into_iter().find(|(n, _)| *n == name).unwrap().1
}

/// spec: IOP-16: bool, int of any size, float with every bit, and text keep type and value.
#[test]
fn primitives_keep_their_type_and_value() {
    for name in ["value_bool", "value_int", "value_bigint", "value_float", "value_str"] {
        let value = sample(name);
        assert!(same(&round_trip(value.clone()), &value), "{name}");
    }
    assert_ne!(round_trip(1.into()), round_trip(1.0.into()), "an int is not a float");
    assert_ne!(round_trip(1.into()), round_trip(true.into()), "an int is not a bool");
}

/// spec: IOP-17: list, tuple, dict, set and frozenset stay what they are, in their order.
#[test]
fn collections_keep_their_kind_and_order() {
    let names = ["value_list", "value_tuple", "value_dict", "value_set", "value_frozenset"];
    for name in names {
        let value = sample(name);
        assert_eq!(round_trip(value.clone()), value, "{name}");
    }
    let items = vec![Value::None, 2.into(), "x".into()];
    assert_ne!(round_trip(Value::List(items.clone())), round_trip(Value::Tuple(items)));
}

/// spec: IOP-18: None is None, alone and inside every container, and nothing else becomes it.
#[test]
fn none_is_none_everywhere() {
    assert_eq!(round_trip(Value::None), Value::None);
    let inside = Value::Dict(vec![(Value::None, Value::List(vec![Value::None, Value::None]))]);
    assert_eq!(round_trip(inside.clone()), inside);
    for empty in [Value::List(vec![]), "".into(), 0.into(), false.into()] {
        assert_eq!(round_trip(empty.clone()), empty);
    }
}
