//! Where the time of calls goes, and how values look in a log.

use std::time::{Duration, Instant};

use ipc_protocol::Value;
use ipc_protocol::array::{Array, Dtype, Order};
use ipc_protocol::from_worker::{NodeUsage, Traffic};

use super::{Brief, Due, Trace};
use crate::graph::Graph;
use crate::model::Manifest;
use crate::plan::{Plan, PlanOptions};
use crate::schedule::{Event, Failure, Work};

fn plan() -> Plan {
    let nodes = r#"{"id": "a", "node_type": "PassThroughNode"}, {"id": "b", "node_type": "m:B"}"#;
    let connections = r#"{"from": "a", "to": "b"}"#;
    let text =
        format!(r#"{{"version": "v1", "nodes": [{nodes}], "connections": [{connections}]}}"#);
    let graph = Graph::new(&Manifest::parse(&text).unwrap()).unwrap();
    Plan::new(&graph, &PlanOptions::default()).unwrap()
}

fn usage(busy: Duration, marshal: Duration) -> NodeUsage {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
    NodeUsage { calls: 1, busy_ns: nanos(busy), marshal_ns: nanos(marshal), ..NodeUsage::default() }
}

#[test]
fn the_time_of_a_call_is_split_without_rest() {
    // spec: IOP-35
    let trace = Trace::new(&plan(), false);
    let mut recording = trace.lock();
    recording.note(&Event::Input(Some(Value::Int(1))));
    recording.begin_call(0, &Work::Item(Value::Int(1)));
    recording.note(&Event::Output(0, Value::Int(2)));
    recording.note(&Event::Done(0));
    recording.begin_call(1, &Work::Item(Value::Int(2)));
    let (busy, marshal) = (Duration::from_nanos(300), Duration::from_nanos(20));
    recording.usage(1, &[usage(busy, marshal)]);
    recording.note(&Event::Done(1));
    let node = &recording.nodes()[1];
    assert_eq!((node.calls, node.node, node.marshalling), (1, busy, marshal));
    let call = &recording.calls[1];
    assert!(
        call.ready.is_some_and(|ready| ready <= call.begin),
        "it was ready with the output of a"
    );
    assert_eq!(node.waiting, call.begin - call.ready.unwrap());
    assert_eq!(node.transport, call.took().saturating_sub(busy + marshal));
    let json = recording.to_json();
    assert_eq!(json["nodes"][1]["node_id"], "b");
    assert_eq!(json["calls"][1]["nodes"], serde_json::json!([[0.3, 0.02]]));
}

#[test]
fn a_call_that_waits_for_leave_to_send_is_waiting_and_one_that_never_ended_has_failed() {
    let trace = Trace::new(&plan(), false);
    let mut recording = trace.lock();
    recording.begin_call(1, &Work::Flush);
    recording.note(&Event::Output(1, Value::None));
    recording.credit(1);
    recording.credit(1);
    recording.begin_call(1, &Work::Flush);
    recording.note(&Event::Failed(1, Failure::default()));
    recording.note(&Event::Failed(1, Failure::default()));
    let calls = &recording.calls;
    assert_eq!(calls.len(), 2);
    assert!(calls[0].has_failed && calls[1].has_failed);
    assert!(calls[0].ready.is_none(), "a flush has not waited");
    assert_eq!(calls[0].waiting(), calls[0].suspended);
    assert_eq!(recording.nodes()[1].waiting, calls[0].suspended);
}

#[test]
fn a_session_that_is_debugged_has_a_line_for_each_crossing() {
    // spec: IOP-33
    let trace = Trace::new(&plan(), true);
    let mut recording = trace.lock();
    recording.begin_call(1, &Work::Zip(vec![Value::Int(1), Value::from("x")]));
    let sent = Traffic { copies: 1, copied_bytes: 8, shared_bytes: 16, inline_bytes: 32 };
    recording.sent(1, 77, sent);
    recording.sent(1, 77, sent); // credit, which is no crossing of a value
    recording.note(&Event::Output(1, Value::Bool(true)));
    recording.note(&Event::Done(1));
    let text = recording.take_lines().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let [call, output, done] = lines[..] else { panic!("{text}") };
    assert!(call.starts_with("call b in worker 77 with 1 and \"x\": sent in "), "{call}");
    assert!(call.ends_with("(32 bytes in the frame, 16 in shared memory, 8 copied)"), "{call}");
    assert!(output.starts_with("output of b after ") && output.ends_with(": True"), "{output}");
    assert!(done.starts_with("b done in ") && done.contains("marshalling 0.000, "), "{done}");
    let quiet = Trace::new(&plan(), false);
    let mut quiet = quiet.lock();
    quiet.note(&Event::Output(1, Value::Bool(true)));
    assert_eq!((quiet.lines_due(), quiet.take_lines()), (Due::Never, None));
}

#[test]
fn lines_wait_until_they_are_many_and_their_host_is_told_once() {
    let trace = Trace::new(&plan(), true);
    let mut recording = trace.lock();
    assert_eq!(recording.lines_due(), Due::Never);
    let began = recording.enter("f", "1");
    assert_eq!((recording.lines_due(), recording.lines_due()), (Due::Soon, Due::Never));
    recording.leave("f", "= 2", began);
    let text = recording.take_lines().unwrap();
    assert!(text.starts_with("-> f(1) at ") && text.contains("\n<- f(...) = 2 in "), "{text}");
    recording.enter("f", "2");
    assert_eq!(recording.lines_due(), Due::Never, "the host takes it with the others");
    assert!(recording.take_told_lines().is_some());
    recording.enter("f", "3");
    assert_eq!(recording.lines_due(), Due::Soon);
    recording.enter("f", &"x".repeat(40_000));
    assert_eq!(recording.lines_due(), Due::Now);
}

#[test]
fn the_number_of_calls_that_are_kept_is_bounded_and_sums_go_on() {
    let trace = Trace::new(&plan(), false);
    let mut recording = trace.lock();
    let begin = Instant::now();
    for _ in 0..super::KEPT_MAX + 2 {
        recording.convert(true, begin);
    }
    assert_eq!(recording.conversions.len(), super::KEPT_MAX);
    assert_eq!(recording.left_out, 2);
}

#[test]
fn values_are_shown_by_type_shape_and_size() {
    // spec: IOP-34
    let array = Value::Array(Array {
        dtype: Dtype { descr: "<f4".to_owned(), item_bytes: 4 },
        shape: vec![1, 2],
        order: Order::C,
        scalar: false,
        data: vec![0; 8].into(),
    });
    let deep = |inner| Value::List(vec![Value::List(vec![Value::List(vec![inner])])]);
    let long = format!("{:?}... 50 bytes", "x".repeat(40));
    for (value, shown) in [
        (array, "array <f4 (1, 2), 8 bytes"),
        (Value::from("ab"), "\"ab\""),
        (Value::Str("x".repeat(50)), long.as_str()),
        (Value::Float(1.0), "1.0"),
        (Value::Tuple((0..6).map(Value::Int).collect()), "(0, 1, 2, 3, ... 6 in all)"),
        (Value::Dict(vec![(Value::from("k"), Value::None)]), "{\"k\": None}"),
        (deep(Value::List(vec![Value::None])), "[[[[... 1 in all]]]]"),
    ] {
        assert_eq!(Brief::of(&value).to_string(), shown);
    }
}
