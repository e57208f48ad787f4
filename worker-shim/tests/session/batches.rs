//! Batches: several calls in one message.

use ipc_protocol::{FromWorker, ToWorker, Value};
use worker_shim::SessionError;
use worker_shim::session::OutOfOrder;

use super::rig::{Orchestrator, credit, ints, item};
use super::{WIDE, broken, failed};

/// A batch for stage 3, with calls from 1 on.
fn batch(window: u32, values: Vec<Value>) -> ToWorker {
    let items = (1..).zip(values).map(|(call, value)| match item(3, call, window, value) {
        ToWorker::Item(item) => item,
        other => panic!("no item but {other:?}"),
    });
    ToWorker::Batch(items.collect())
}

fn is_ready(orchestrator: &mut Orchestrator) {
    orchestrator.send(item(3, 90, WIDE, Value::Int(90)));
    assert_eq!(orchestrator.output(3, 90), Value::Int(90));
    orchestrator.done(3, 90);
}

#[test]
fn the_calls_of_a_batch_follow_each_other() {
    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(batch(1, vec![Value::Int(4), ints(0..3), Value::Int(5)]));
    assert_eq!(orchestrator.output(3, 1), Value::Int(4));
    orchestrator.done(3, 1);
    for number in 0..3 {
        assert_eq!(orchestrator.output(3, 2), Value::Int(number), "the next call waits for it");
        orchestrator.send(credit(3, 1));
    }
    orchestrator.done(3, 2);
    assert_eq!(orchestrator.output(3, 3), Value::Int(5));
    orchestrator.done(3, 3);
    is_ready(&mut orchestrator);
}

#[test]
fn a_failure_drops_the_rest() {
    for refused in [Value::List(vec![Value::from("fail")]), Value::from("refuse")] {
        let mut orchestrator = Orchestrator::in_session();
        orchestrator.send(batch(WIDE, vec![Value::Int(1), refused, Value::Int(3)]));
        assert_eq!(orchestrator.output(3, 1), Value::Int(1));
        orchestrator.done(3, 1);
        assert_eq!(failed(&mut orchestrator).call, 2);
        is_ready(&mut orchestrator);
    }
}

#[test]
fn the_rest_waits_while_a_call_is_kept() {
    // spec: NRA-08
    for is_tried_again in [true, false] {
        let mut orchestrator = Orchestrator::in_session();
        let kept = Value::List(vec![Value::from("keep"), Value::Int(2)]);
        orchestrator.send(batch(WIDE, vec![kept, Value::Int(3)]));
        assert_eq!(failed(&mut orchestrator).call, 1);
        if is_tried_again {
            orchestrator.send(ToWorker::Retry(3));
            assert_eq!(orchestrator.output(3, 1), Value::Int(2));
            orchestrator.done(3, 1);
            assert_eq!(orchestrator.output(3, 2), Value::Int(3));
            orchestrator.done(3, 2);
        } else {
            orchestrator.send(ToWorker::Abort(3));
            orchestrator.aborted(3, 1);
        }
        is_ready(&mut orchestrator);
    }
}

#[test]
fn an_abort_and_a_close_drop_the_rest() {
    let mut orchestrator = Orchestrator::in_session();
    let values = || vec![ints(0..1000), Value::Int(2)];
    orchestrator.send(batch(1, values()));
    assert_eq!(orchestrator.output(3, 1), Value::Int(0));
    orchestrator.send(ToWorker::Abort(3));
    orchestrator.aborted(3, 1);
    is_ready(&mut orchestrator);
    orchestrator.send(batch(1, values()));
    assert_eq!(orchestrator.output(3, 1), Value::Int(0));
    orchestrator.send(ToWorker::Close);
    let closed: FromWorker = orchestrator.receive();
    assert!(matches!(closed, FromWorker::Closed(_)), "{closed:?}");
}

#[test]
fn other_calls_of_the_stage_are_refused_until_the_last_has_ended() {
    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(batch(1, vec![ints(0..3), Value::Int(2)]));
    orchestrator.output(3, 1);
    orchestrator.send(item(3, 9, 1, Value::None));
    let error = broken(orchestrator);
    let expected = OutOfOrder::Busy { stage: 3, call: 9, current: 1 };
    assert!(matches!(error, SessionError::OutOfOrder(busy) if busy == expected), "{error}");
}
