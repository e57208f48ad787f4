//! Tests of the session loop over a socketpair, with a scripted guest in place of an interpreter.

mod batches;
mod ending;
mod rig;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ipc_protocol::codec;
use ipc_protocol::exchange::Exchange;
use ipc_protocol::from_worker::{Failed, LogRecord};
use ipc_protocol::memory::SegmentKind;
use ipc_protocol::share::{MemoryTerms, Share};
use ipc_protocol::to_worker::{SavedState, Welcome};
use ipc_protocol::version::{Hello, MAGIC, PROTOCOL_VERSION};
use ipc_protocol::{FaultKind, FromWorker, Limits, ToWorker, Value};
use worker_shim::session::OutOfOrder;
use worker_shim::{LinkError, SessionError};

use rig::{Bell, Orchestrator, address, credit, ints, item, open};

const WIDE: u32 = 100;

#[test]
fn the_worker_introduces_itself() {
    let mut orchestrator = Orchestrator::start();
    let hello: Hello = orchestrator.receive();
    assert_eq!((hello.magic.as_str(), hello.protocol), (MAGIC, PROTOCOL_VERSION));
    assert_eq!(
        (hello.interpreter.as_str(), hello.interpreter_version.as_str()),
        ("script", "1.2.3")
    );
    assert_eq!((hello.package_version.as_str(), hello.pid), ("4.5", std::process::id()));
    assert!(orchestrator.hang_up().1.is_ok(), "an end between two messages is a good end");
}

#[test]
fn the_outputs_of_a_call_come_in_order_and_then_its_end() {
    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(item(3, 1, WIDE, ints(0..20)));
    for expected in 0..20 {
        assert_eq!(orchestrator.output(3, 1), Value::Int(expected));
    }
    orchestrator.done(3, 1);
    orchestrator.send(ToWorker::Start(address(5, 2, WIDE)));
    assert_eq!(orchestrator.output(5, 2), Value::from("started"));
    orchestrator.done(5, 2);
    orchestrator.send(ToWorker::Flush(address(3, 3, WIDE)));
    assert_eq!(orchestrator.output(3, 3), Value::from("flushed"));
    orchestrator.done(3, 3);
}

#[test]
fn a_call_without_credit_waits_while_other_stages_work() {
    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(item(3, 1, 2, ints(0..4)));
    assert_eq!(orchestrator.output(3, 1), Value::Int(0));
    assert_eq!(orchestrator.output(3, 1), Value::Int(1));
    orchestrator.send(item(5, 2, WIDE, ints(10..12)));
    assert_eq!(orchestrator.output(5, 2), Value::Int(10));
    assert_eq!(orchestrator.output(5, 2), Value::Int(11));
    orchestrator.done(5, 2);
    orchestrator.send(credit(3, 1));
    assert_eq!(orchestrator.output(3, 1), Value::Int(2));
    orchestrator.send(credit(3, 2));
    assert_eq!(orchestrator.output(3, 1), Value::Int(3));
    orchestrator.done(3, 1);
    let (script, outcome) = orchestrator.hang_up();
    assert!(outcome.is_ok());
    let steps: Vec<_> = script.events.iter().filter(|event| event.starts_with("step")).collect();
    let expected = ["step 3", "step 3", "step 5", "step 5", "step 5", "step 3", "step 3", "step 3"];
    assert_eq!(steps, expected, "a call that waits is not stepped");
}

#[test]
fn the_last_output_needs_no_credit_for_the_end_of_the_call() {
    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(item(3, 1, 1, Value::Int(4)));
    assert_eq!(orchestrator.output(3, 1), Value::Int(4));
    orchestrator.done(3, 1);
}

#[test]
fn a_suspended_call_is_ended_and_the_stage_takes_the_next() {
    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(item(3, 1, 1, ints(0..1000)));
    assert_eq!(orchestrator.output(3, 1), Value::Int(0));
    orchestrator.send(ToWorker::Abort(3));
    orchestrator.aborted(3, 1);
    // An `Abort` that arrives after the end of the call has no effect.
    orchestrator.send(ToWorker::Abort(3));
    orchestrator.send(item(3, 2, 1, Value::Int(4)));
    assert_eq!(orchestrator.output(3, 2), Value::Int(4));
    orchestrator.done(3, 2);
}

#[test]
fn credit_for_a_call_that_has_ended_is_void() {
    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(credit(3, 50));
    orchestrator.send(item(3, 1, 1, ints(0..3)));
    assert_eq!(orchestrator.output(3, 1), Value::Int(0));
    // Stage 5 can run only if stage 3 has run out of credit.
    orchestrator.send(item(5, 2, 1, Value::None));
    assert_eq!(orchestrator.output(5, 2), Value::None);
    orchestrator.done(5, 2);
}

#[test]
fn credit_without_bounds_does_not_overflow() {
    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(item(3, 1, 1, ints(0..3)));
    orchestrator.output(3, 1);
    orchestrator.send(credit(3, u32::MAX));
    orchestrator.output(3, 1);
    orchestrator.output(3, 1);
    orchestrator.done(3, 1);
}

fn failed(orchestrator: &mut Orchestrator) -> Failed {
    match orchestrator.receive() {
        FromWorker::Failed(failed) => failed,
        other => panic!("no failure but {other:?}"),
    }
}

#[test]
fn a_kept_call_waits_until_it_is_tried_again() {
    // spec: NRA-08
    let mut orchestrator = Orchestrator::in_session();
    let values = vec![Value::from("keep"), Value::from("keep"), Value::Int(2)];
    orchestrator.send(item(3, 1, WIDE, Value::List(values)));
    for _ in 0..2 {
        let failure = failed(&mut orchestrator);
        assert_eq!((failure.stage, failure.call), (Some(3), 1));
        assert!(failure.fault.raised.is_some_and(|raised| raised.is_kept));
        // It runs no further by itself: another stage gets its turn.
        orchestrator.send(item(5, 9, WIDE, Value::Int(0)));
        assert_eq!(orchestrator.output(5, 9), Value::Int(0));
        orchestrator.done(5, 9);
        orchestrator.send(ToWorker::Retry(3));
    }
    assert_eq!(orchestrator.output(3, 1), Value::Int(2));
    orchestrator.done(3, 1);
    // A `Retry` that arrives after the end of the call has no effect.
    orchestrator.send(ToWorker::Retry(3));
    orchestrator.send(item(3, 2, WIDE, Value::Int(4)));
    assert_eq!(orchestrator.output(3, 2), Value::Int(4));
    orchestrator.done(3, 2);
}

#[test]
fn state_is_saved_after_the_calls_before_and_restored() {
    // spec: CARD-08
    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(item(3, 1, WIDE, Value::Int(4)));
    orchestrator.send(ToWorker::Save(7));
    orchestrator.send(ToWorker::Restore(vec![SavedState {
        node_id: "a".to_owned(),
        state: b"other".to_vec().into(),
    }]));
    orchestrator.send(ToWorker::Save(8));
    assert_eq!(orchestrator.output(3, 1), Value::Int(4));
    orchestrator.done(3, 1);
    for number in [7, 8] {
        let FromWorker::Saved(saved) = orchestrator.receive() else { panic!("nothing is saved") };
        assert_eq!((saved.number, saved.states.len(), saved.fault), (number, 1, None));
    }
    orchestrator.send(ToWorker::Restore(Vec::new()));
    assert_eq!(failed(&mut orchestrator).stage, None);
}

#[test]
fn a_kept_call_can_be_ended() {
    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(item(3, 1, WIDE, Value::List(vec![Value::from("keep"), Value::Int(2)])));
    failed(&mut orchestrator);
    orchestrator.send(ToWorker::Abort(3));
    orchestrator.aborted(3, 1);
    orchestrator.send(item(3, 2, WIDE, Value::Int(4)));
    assert_eq!(orchestrator.output(3, 2), Value::Int(4));
    orchestrator.done(3, 2);
}

#[test]
fn a_failed_call_is_over_and_the_session_goes_on() {
    let mut orchestrator = Orchestrator::in_session();
    let values = vec![Value::Int(1), Value::from("fail"), Value::Int(2)];
    orchestrator.send(item(3, 1, WIDE, Value::List(values)));
    assert_eq!(orchestrator.output(3, 1), Value::Int(1));
    let failure = failed(&mut orchestrator);
    assert_eq!((failure.stage, failure.call, failure.usage[0].calls), (Some(3), 1, 2));
    assert_eq!(failure.fault.message, "failed");

    orchestrator.send(item(3, 2, WIDE, Value::from("refuse")));
    let failure = failed(&mut orchestrator);
    assert_eq!((failure.stage, failure.call, failure.usage[0].calls), (Some(3), 2, 7));

    orchestrator.send(item(3, 3, WIDE, Value::Int(5)));
    assert_eq!(orchestrator.output(3, 3), Value::Int(5));
    orchestrator.done(3, 3);
}

#[test]
fn one_session_follows_another() {
    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(item(3, 1, 1, ints(0..9)));
    orchestrator.output(3, 1);
    orchestrator.send(ToWorker::Close);
    let FromWorker::Closed(closed) = orchestrator.receive() else { panic!("not closed") };
    assert_eq!(closed.faults[0].message, "of cleanup");
    orchestrator.send(open());
    assert!(matches!(orchestrator.receive(), FromWorker::Opened(ready) if ready.len() == 2));
    // The open call of the first session does not block stage 3 of the second.
    orchestrator.send(item(3, 1, 1, Value::Int(1)));
    assert_eq!(orchestrator.output(3, 1), Value::Int(1));
    orchestrator.done(3, 1);
}

#[test]
fn modules_that_a_session_has_loaded_are_reported_once_before_it_is_open() {
    let mut orchestrator = Orchestrator::welcomed(Limits::default());
    let ToWorker::Open(mut session) = open() else { unreachable!() };
    session.instances = Some(rig::LOADS.to_vec().into());
    orchestrator.send(ToWorker::Open(session));
    let FromWorker::Loaded(modules) = orchestrator.receive() else { panic!("nothing loaded") };
    assert_eq!(modules, ["scipy", "scipy.signal"]);
    assert!(matches!(orchestrator.receive(), FromWorker::Opened(_)));
    orchestrator.send(ToWorker::Close);
    assert!(matches!(orchestrator.receive(), FromWorker::Closed(_)));
}

#[test]
fn a_session_that_cannot_open_leaves_the_worker_ready() {
    let mut orchestrator = Orchestrator::welcomed(Limits::default());
    let ToWorker::Open(mut session) = open() else { unreachable!() };
    session.instances = Some(vec![1].into());
    orchestrator.send(ToWorker::Open(session));
    let failure = failed(&mut orchestrator);
    assert_eq!((failure.stage, failure.call), (None, 0));
    assert_eq!(failure.fault.message, "cannot open");
    orchestrator.send(open());
    assert!(matches!(orchestrator.receive(), FromWorker::Opened(_)));
}

#[test]
fn an_output_beyond_the_limits_fails_its_call_alone() {
    let limits = Limits { max_frame_bytes: 4096, ..Limits::default() };
    let mut orchestrator = Orchestrator::welcomed(limits);
    orchestrator.send(open());
    assert!(matches!(orchestrator.receive(), FromWorker::Opened(_)));
    let too_large = |orchestrator: &mut Orchestrator, call| {
        let failure = failed(orchestrator);
        assert_eq!((failure.stage, failure.call), (Some(3), call));
        assert_eq!(failure.fault.kind, FaultKind::Marshal);
        assert!(failure.fault.message.contains("4096"), "{}", failure.fault.message);
    };
    orchestrator.send(item(3, 1, WIDE, Value::List(vec![Value::Int(1), Value::from("grow")])));
    assert_eq!(orchestrator.output(3, 1), Value::Int(1));
    too_large(&mut orchestrator, 1);
    orchestrator.send(item(3, 2, WIDE, Value::from("grow")));
    too_large(&mut orchestrator, 2);
    orchestrator.send(item(3, 3, WIDE, Value::Int(1)));
    assert_eq!(orchestrator.output(3, 3), Value::Int(1));
    orchestrator.done(3, 3);
    let (script, _) = orchestrator.hang_up();
    let aborts = script.events.iter().filter(|event| *event == "abort 3").count();
    assert_eq!(aborts, 1, "a call that is over already needs no aborting");
}

fn broken(mut orchestrator: Orchestrator) -> SessionError {
    let failure = failed(&mut orchestrator);
    assert_eq!((failure.stage, failure.fault.kind), (None, FaultKind::Protocol));
    match orchestrator.join().1 {
        Err(error) if error.to_string() == failure.fault.message => error,
        other => {
            panic!("{other:?} is not what the orchestrator was told: {}", failure.fault.message)
        }
    }
}

#[test]
fn messages_out_of_order_end_the_worker() {
    let orchestrator = Orchestrator::in_session();
    orchestrator.send(item(4, 1, 1, Value::None));
    let unknown = SessionError::OutOfOrder(OutOfOrder::UnknownStage { stage: 4 });
    assert_eq!(broken(orchestrator).to_string(), unknown.to_string());

    let orchestrator = Orchestrator::in_session();
    orchestrator.send(credit(4, 1));
    assert_eq!(broken(orchestrator).to_string(), unknown.to_string());

    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(item(3, 1, 1, ints(0..3)));
    orchestrator.output(3, 1);
    orchestrator.send(item(3, 2, 1, Value::None));
    let error = broken(orchestrator);
    let expected = OutOfOrder::Busy { stage: 3, call: 2, current: 1 };
    assert!(matches!(error, SessionError::OutOfOrder(busy) if busy == expected), "{error}");

    for message in [item(3, 1, 1, Value::None), ToWorker::Close, credit(3, 1)] {
        let orchestrator = Orchestrator::welcomed(Limits::default());
        orchestrator.send(message);
        let error = broken(orchestrator);
        assert!(error.to_string().contains("outside a session"), "{error}");
    }
    let orchestrator = Orchestrator::in_session();
    orchestrator.send(open());
    assert!(
        broken(orchestrator).to_string().contains("message Open is not allowed inside a session")
    );
}

#[test]
fn another_version_is_refused() {
    let mut orchestrator = Orchestrator::start();
    let _: Hello = orchestrator.receive();
    let protocol = PROTOCOL_VERSION + 1;
    orchestrator.send(ToWorker::Welcome(Welcome { protocol, limits: Limits::default() }));
    let error = broken(orchestrator);
    assert!(matches!(error, SessionError::Version { theirs } if theirs == protocol), "{error}");

    let mut orchestrator = Orchestrator::start();
    let _: Hello = orchestrator.receive();
    orchestrator.send(open());
    assert!(broken(orchestrator).to_string().contains("before Welcome"));
}

#[test]
fn what_is_no_frame_or_no_message_ends_the_worker() {
    let orchestrator = Orchestrator::in_session();
    orchestrator.send_bytes(b"GET / HTTP/1.1\r\n\r\n");
    let error = broken(orchestrator);
    assert!(matches!(error, SessionError::Link(LinkError::Frame(_))), "{error}");

    // A message of the other direction.
    let orchestrator = Orchestrator::in_session();
    let wrong = codec::encode(FromWorker::Opened(Vec::new())).unwrap();
    wrong.write_to(&mut &orchestrator.socket).unwrap();
    let error = broken(orchestrator);
    assert!(matches!(error, SessionError::Link(LinkError::Received(_))), "{error}");
}

#[test]
fn a_frame_beyond_the_limits_ends_the_worker() {
    let limits = Limits { max_frame_bytes: 4096, ..Limits::default() };
    let mut orchestrator = Orchestrator::welcomed(limits);
    orchestrator.send(open());
    assert!(matches!(orchestrator.receive(), FromWorker::Opened(_)));
    let mut frame = Vec::new();
    let large = item(3, 1, WIDE, Value::Str("x".repeat(5000)));
    codec::encode(large).unwrap().write_to(&mut frame).unwrap();
    orchestrator.send_bytes(&frame[..64]);
    let error = broken(orchestrator);
    assert!(error.to_string().contains("4096"), "{error}");
}

#[test]
fn an_end_inside_a_frame_is_an_error() {
    let orchestrator = Orchestrator::in_session();
    let mut frame = Vec::new();
    codec::encode(item(3, 1, 1, Value::None)).unwrap().write_to(&mut frame).unwrap();
    orchestrator.send_bytes(&frame[..frame.len() - 1]);
    orchestrator.socket.shutdown(std::net::Shutdown::Write).unwrap();
    let error = broken(orchestrator);
    assert!(matches!(error, SessionError::Link(LinkError::Frame(_))), "{error}");
}

#[test]
fn an_end_in_a_session_cleans_the_nodes_up() {
    let mut orchestrator = Orchestrator::in_session();
    orchestrator.send(item(3, 1, 1, ints(0..3)));
    orchestrator.output(3, 1);
    let (script, outcome) = orchestrator.hang_up();
    assert!(outcome.is_ok());
    assert_eq!(script.events.last().unwrap(), "close");
}

#[test]
fn frames_of_several_threads_do_not_mix() {
    const RECORDS: usize = 200;
    let mut orchestrator = Orchestrator::in_session();
    let large = Value::Bytes(vec![7; 100_000].into());
    orchestrator.send(item(3, 1, WIDE, Value::List(vec![large.clone(); 50])));
    let writer = orchestrator.writer.clone();
    let logger = std::thread::spawn(move || {
        for number in 0..RECORDS {
            let record = LogRecord {
                node_id: "a".to_owned(),
                logger: "l".to_owned(),
                is_stream: false,
                level: 20,
                message: format!("{number} {}", "m".repeat(number * 10)),
                place: None,
            };
            writer.send(FromWorker::Log(record)).unwrap();
        }
    });
    let (mut records, mut outputs, mut is_done) = (0, 0, false);
    while !is_done || records < RECORDS {
        match orchestrator.receive() {
            FromWorker::Log(record) => {
                assert!(record.message.starts_with(&format!("{records} ")));
                records += 1;
            }
            FromWorker::Output(output) => {
                assert_eq!(output.value, large);
                outputs += 1;
            }
            FromWorker::Done(_) => is_done = true,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(outputs, 50);
    logger.join().unwrap();
}

/// A worker with an open session, and the other end of its guest's bell.
#[expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
fn with_bell(after: Option<Duration>) -> (Orchestrator, UnixStream) {
    let (here, wire) = UnixStream::pair().unwrap();
    let bell = Some(Bell { wire, after });
    let mut orchestrator = Orchestrator::start_with(bell).welcome(Limits::default());
    orchestrator.send(open());
    assert!(matches!(orchestrator.receive(), FromWorker::Opened(_)));
    (orchestrator, here)
}

#[test]
fn a_guest_is_called_while_the_worker_waits_and_messages_come_all_the_same() {
    for after in [None, Some(Duration::from_millis(1))] {
        let (mut orchestrator, mut here) = with_bell(after);
        for call in 1..4 {
            // With a timer, the first alarm rings by itself.
            if call > 1 || after.is_none() {
                here.write_all(b"?").unwrap();
            }
            here.read_exact(&mut [0]).unwrap();
            orchestrator.send(item(3, call, WIDE, Value::List(vec![Value::from("a")])));
            assert_eq!(orchestrator.output(3, call), Value::from("a"));
            orchestrator.done(3, call);
        }
    }
}

/// spec: CARD-05: memory comes back by itself when the guest lets go of it between two calls.
#[test]
fn what_a_guest_lets_go_of_while_the_worker_waits_comes_back() {
    let (mut orchestrator, mut here) = with_bell(None);
    let terms = MemoryTerms {
        kind: SegmentKind::Named,
        inline_max_bytes: 64,
        ring_bytes: 1 << 16,
        ring_block_max_bytes: 1 << 14,
        max_bytes: 1 << 20,
        idle_max_bytes: 1 << 20,
        pinned_max_bytes: 1 << 20,
    };
    orchestrator.send(ToWorker::SharedMemory(terms));
    let exchange = Exchange::new(terms, true);
    let mut message = item(3, 1, WIDE, Value::Bytes(vec![7; 5000].into()));
    let placement = exchange.place(&mut message, None, &Limits::default()).unwrap();
    for announcement in placement.announcements {
        orchestrator.send(ToWorker::Share(announcement.share));
    }
    orchestrator.send(message);
    assert!(matches!(orchestrator.receive(), FromWorker::Share(Share::Attached(_))));
    orchestrator.done(3, 1);
    assert_eq!(exchange.loans().len(), 1);
    here.write_all(b"?").unwrap();
    here.read_exact(&mut [0]).unwrap();
    match orchestrator.receive() {
        FromWorker::Share(share) => assert!(exchange.handle(share, None).unwrap().is_none()),
        other => panic!("{other:?}"),
    }
    assert!(exchange.loans().is_empty());
}
