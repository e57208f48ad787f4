//! Workers that send false data. Each lie about shared memory is one error that names it and ends
//! the worker; other sessions go on. Lies about working time do not make the caller wait awake for
//! long.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use ipc_protocol::{Array, Dtype, FaultKind, Order, Value};
use orchestrator::options::OpenOptions;
use orchestrator::session::Session;
use orchestrator::{Config, Error, Manifest, Runtime};

use super::quiet::Quiet;

/// `LIE` is a start variable, because the worker reads it when it starts.
const CONFIG: &str = "[workers]\nmax = 4\n[python]\nstart_variables = [\"LIE\"]\n";

const MANIFEST: &str =
    r#"{"version": "v1", "nodes": [{"id": "liar", "node_type": "some.module:Node"}]}"#;

fn open(runtime: &Arc<Runtime>, lie: Option<&str>) -> Session {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let lie = lie.map(|lie| (OsString::from("LIE"), OsString::from(lie)));
    let options = OpenOptions {
        interpreter: Some(PathBuf::from(env!("CARGO_BIN_EXE_lying-worker"))),
        environment: lie.into_iter().collect(),
        ..OpenOptions::default()
    };
    Session::open(runtime, &manifest, options, &mut Quiet).unwrap()
}

fn input() -> Value {
    let dtype = Dtype { descr: "|u1".into(), item_bytes: 1 };
    let data: Vec<u8> = (0..100_000).map(|n: u32| n.to_le_bytes()[0]).collect();
    let shape = vec![100_000];
    Value::Array(Array { dtype, shape, order: Order::C, scalar: false, data: data.into() })
}

const LIES: &[(&str, &str)] = &[
    ("unknown segment", "segment 9 is not known"),
    ("offset outside", "are not within"),
    ("length outside", "are not within"),
    ("offset overflows", "are not within"),
    ("length overflows", "are not within"),
    ("shape larger than bytes", "needs 16384 bytes of data, not 4096"),
    ("shape smaller than bytes", "needs 4 bytes of data, not 4096"),
    ("object dtype", "holds Python objects"),
    ("dtype of another size", "does not have elements of 4 bytes"),
    ("no dtype", "is not a numpy dtype"),
    ("returned twice", "lease 1 was not granted or has ended"),
    ("returned too much", "are not within"),
    ("returned what was not lent", "lease 77 was not granted"),
    ("released what was not lent", "lease 77 was not granted"),
    ("released twice", "lease 1 was not granted or has ended"),
    ("detached what was not attached", "segment 5 is not known"),
    ("shorter than announced", "cannot be mapped"),
    ("announced twice", "announced a second time"),
    ("too much", "more than the allowed"),
    ("no descriptor", "without its descriptor"),
    ("a file", "cannot be mapped"),
    ("a socket", "cannot be mapped"),
    ("not sealed", "not sealed"),
    ("a name", "segment 1"),
    ("a flood of descriptors", "more descriptors"),
];

/// spec: CARD-08, CARD-05: a worker is not trusted with offset, length, dtype, shape or lease.
#[test]
fn each_lie_is_one_error_and_the_next_session_works() {
    let runtime = Arc::new(Runtime::new(Config::from_toml(CONFIG).unwrap()));
    let mut honest = open(&runtime, None);
    for (lie, expected) in LIES {
        let mut session = open(&runtime, Some(lie));
        let failed = session.process(input(), &mut Quiet).unwrap_err();
        let Error::Node(failure) = &failed.error else { panic!("{lie}: {}", failed.error) };
        assert_eq!(failure.operation, FaultKind::Protocol, "{lie}: {}", failure.message);
        assert_eq!(failure.node_id, "liar");
        assert!(failure.message.contains(expected), "{lie}: {}", failure.message);
        assert!(failure.message.contains("was killed"), "{lie}: {}", failure.message);
        drop(session);

        let outputs = honest.process(input(), &mut Quiet).unwrap();
        assert_eq!(outputs.len(), 1, "beside {lie}");
        assert_eq!(outputs[0].value, input(), "beside {lie}");
    }
    drop(honest);
}

/// spec: CARD-05: a worker that claims to work for no time and takes long is waited for awake ever more
/// rarely.
#[test]
fn one_that_claims_to_work_for_no_time_is_soon_waited_for_asleep() {
    let runtime = Arc::new(Runtime::new(Config::from_toml(CONFIG).unwrap()));
    let mut session = open(&runtime, Some("works for no time"));
    for _ in 0..212 {
        assert_eq!(session.process(Value::None, &mut Quiet).unwrap().len(), 1);
    }
    // Waits without an answer occur at the start, and after pauses of 1, 2, 4, ... 64 waits. There
    // are fewer when other threads want the processor.
    let vain = session.waits_in_vain();
    assert!(vain <= 2 + 7 + 2, "{vain} of 212 waits were in vain");
}

#[test]
fn one_that_claims_to_work_for_ever_is_believed_what_it_took() {
    let runtime = Arc::new(Runtime::new(Config::from_toml(CONFIG).unwrap()));
    let mut session = open(&runtime, Some("works for ever"));
    for _ in 0..100 {
        assert_eq!(session.process(input(), &mut Quiet).unwrap()[0].value, input());
    }
}
