//! Tests of sessions from opening to closing, and of the event loop between calls.

use std::rc::Rc;
use std::time::Duration;

use ipc_protocol::from_worker::{NodeReady, NodeState};
use ipc_protocol::to_worker::SavedState;
use ipc_protocol::{Array, Dtype, FaultKind, Order, Payload, Value};

use super::fake::{Content, Fake, Raised, World, dict, facts, plain, raised, tuple};
use super::{Rig, environment, session, step};
use crate::guest::{Guest, Step};
use crate::meter::{Meter, SharedMeter};
use crate::python_guest::{PythonGuest, spec};

#[test]
fn a_guest_without_the_methods_is_refused() {
    let world = Rc::<World>::default();
    let other = Rc::new(Content::Guest("other"));
    let meter = SharedMeter::new(Meter::default());
    assert!(PythonGuest::new(Fake(world), &other, meter).is_err());
}

#[test]
fn a_session_is_described_by_the_names_of_its_fields() {
    let params = dict([("size", 4_i64.into())]);
    let node = |node_id: &str, module: &str, name: &str, instance, params, is_streaming: bool| {
        dict([
            ("node_id", node_id.into()),
            ("module", module.into()),
            ("name", name.into()),
            ("instance", instance),
            ("params", params),
            ("is_streaming", is_streaming.into()),
            ("keeps_failed", false.into()),
        ])
    };
    let none = || dict([]);
    let first = vec![
        node("a", "mod", "Class", Value::None, params.clone(), true),
        node("b", "", "", 0_i64.into(), none(), false),
    ];
    let second = vec![node("c", "", "", 1_i64.into(), none(), false)];
    let stages = vec![
        Value::Tuple(vec![3_i64.into(), Value::List(first)]),
        Value::Tuple(vec![5_i64.into(), Value::List(second)]),
    ];
    let bytes = |text: &[u8]| Value::Bytes(text.to_vec().into());
    let surroundings = dict([
        ("environment", bytes(&environment())),
        ("present", Value::None),
        ("sys_path", Value::List(vec![bytes(b"/one")])),
        ("is_path_complete", true.into()),
        ("argv", Value::List(vec![bytes(b"job.py")])),
        ("working_directory", Value::None),
        ("umask", 0o22_i64.into()),
    ]);
    let buffer = Value::Array(Array {
        dtype: Dtype { descr: "|u1".to_owned(), item_bytes: 1 },
        shape: vec![5],
        order: Order::C,
        scalar: false,
        data: b"large".to_vec().into(),
    });
    let expected = dict([
        ("stages", Value::List(stages)),
        ("instances", Value::Bytes(b"pickle".to_vec().into())),
        ("buffers", Value::List(vec![buffer])),
        ("saved", Value::List(vec![Value::Tuple(vec!["gain".into(), bytes(b"state")])])),
        ("capture", Value::Tuple(vec![bytes(b"/tmp/c"), Value::Int(7)])),
        ("surroundings", surroundings),
        ("write_back_max_bytes", 9_i64.into()),
    ]);
    assert_eq!(spec::fields(session(params)), expected);
}

#[test]
fn an_opened_session_lists_its_nodes() {
    let mut rig = Rig::new();
    let entry: [Value; 6] =
        ["a".into(), true.into(), false.into(), true.into(), false.into(), true.into()];
    let entry = Value::Tuple(entry.to_vec());
    let ready = rig.open(Ok(plain(Value::List(vec![entry])))).unwrap();
    let expected = NodeReady {
        node_id: "a".to_owned(),
        is_source: true,
        is_streaming: false,
        is_async: true,
        flushes: false,
        saves: true,
    };
    assert_eq!(ready, [expected]);
    assert_eq!(rig.world.take_events(), ["begin session, pickles false", "open_session(fields)"]);
}

#[test]
fn a_session_that_cannot_open_ends() {
    let mut rig = Rig::new();
    let raised = Raised(Some(facts("construct", "b", "no file")));
    let fault = rig.open(Err(raised)).unwrap_err();
    assert_eq!((fault.kind, fault.node_id.as_str()), (FaultKind::Construct, "b"));
    assert_eq!(fault.message, "no file");
    assert_eq!(rig.world.take_events().last().unwrap(), "end session");

    let fault = rig.open(Ok(plain("text"))).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Marshal);
    assert!(fault.message.contains("open_session returned another type"), "{}", fault.message);
    assert_eq!(rig.world.take_events().last().unwrap(), "end session");
}

#[test]
fn parameters_do_not_count_as_the_first_item() {
    let mut rig = Rig::new();
    rig.answer("open_session", Ok(plain(Value::List(vec![]))));
    let params = Value::Bytes(b"much".to_vec().into());
    rig.guest.open(session(params)).unwrap();
    rig.begin(3, "in");
    rig.answer("first_step", step(3, plain(Value::None)));
    let Step::Done(usage) = rig.guest.step(3) else { panic!() };
    assert_eq!(usage[0].moved.incoming.copies, 0);
}

#[test]
fn state_is_saved_and_restored() {
    let mut rig = Rig::in_session();
    let saved = || SavedState { node_id: "a".to_owned(), state: Payload::from(b"state".to_vec()) };
    let entry = Value::Tuple(vec!["a".into(), Value::Bytes(saved().state)]);
    rig.answer("save", Ok(plain(Value::List(vec![entry]))));
    assert_eq!(rig.guest.save().unwrap(), [saved()]);
    rig.answer("restore", Ok(plain(Value::None)));
    rig.guest.restore(vec![saved()]).unwrap();
    rig.answer("restore", Err(Raised(Some(facts("restore", "a", "another shape")))));
    let fault = rig.guest.restore(vec![saved()]).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Restore, "another shape"));
    rig.answer("save", Ok(plain("text")));
    assert_eq!(rig.guest.save().unwrap_err().kind, FaultKind::Marshal);
}

#[test]
fn a_closed_session_gives_states_and_failures() {
    let mut rig = Rig::in_session();
    let kept = Value::Tuple(vec!["name".into(), "reason".into()]);
    let attributes = Value::Bytes(b"state".to_vec().into());
    let state = Value::Tuple(vec!["a".into(), attributes, Value::List(vec![kept])]);
    let failures = Value::List(vec![facts("cleanup", "c", "still open")]);
    let left = Value::List(vec!["threads".into()]);
    let closed = Value::Tuple(vec![Value::List(vec![state]), failures, left]);
    rig.answer("close", Ok(plain(closed)));
    let closed = rig.guest.close();
    let expected = NodeState {
        node_id: "a".to_owned(),
        attributes: b"state".to_vec().into(),
        kept: vec![("name".to_owned(), "reason".to_owned())],
    };
    assert_eq!(closed.states, [expected]);
    assert_eq!(closed.left, ["threads"]);
    let [fault] = closed.faults.as_slice() else { panic!("{closed:?}") };
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Cleanup, "still open"));
    assert_eq!(rig.world.take_events(), ["close()", "end session"]);
}

#[test]
fn a_session_whose_close_fails_ends_with_that_fault() {
    let mut rig = Rig::in_session();
    rig.answer("close", Err(raised("no more memory")));
    let closed = rig.guest.close();
    assert!(closed.states.is_empty());
    assert_eq!(closed.faults[0].message, "no more memory");
    assert_eq!(rig.world.take_events(), ["close()", "end session"]);
}

#[test]
fn only_a_made_event_loop_is_attended() {
    let mut rig = Rig::in_session();
    assert!(rig.guest.attend(false).is_none());
    assert_eq!(rig.world.take_events(), ["made"]);

    rig.world.has_loop.set(true);
    let seconds = [
        (Value::None, None),
        (Value::Float(0.25), Some(Duration::from_millis(250))),
        (Value::Float(f64::INFINITY), None),
    ];
    for (after, expected) in seconds {
        rig.answer("attend", Ok(tuple([plain(11_i64), plain(after), plain(true)])));
        let alarm = rig.guest.attend(true).unwrap();
        assert_eq!((alarm.descriptor, alarm.after, alarm.is_quiet), (11, expected, true));
        assert_eq!(rig.world.take_events(), ["made", "attend(true)"]);
    }
    rig.answer("attend", Err(raised("Event loop is closed")));
    assert!(rig.guest.attend(false).is_none());
}

#[test]
fn the_interpreter_is_free_while_the_worker_waits() {
    let mut rig = Rig::in_session();
    assert_eq!(rig.guest.unlocked(|| 4), 4);
    assert_eq!(rig.world.take_events(), ["unlocked"]);
}
