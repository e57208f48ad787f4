//! Tests of recording, and of the JSON keys that older and newer readers expect.

use std::time::Duration;

use ipc_protocol::from_worker::NodeUsage;

use super::probe::{self, NativeProbe};
use super::{NodeStatus, RunMetrics};
use crate::graph::Graph;
use crate::model::Manifest;
use crate::plan::{Plan, PlanOptions};

fn metrics() -> (RunMetrics, Plan) {
    let manifest = Manifest::parse(
        r#"{"version": "v1", "metadata": {"name": "demo"}, "nodes": [
            {"id": "resample", "node_type": "ResampleNode"},
            {"id": "vad", "node_type": "VADNode"},
            {"id": "mine", "node_type": "my.nodes:Mine"}],
            "connections": [{"from": "resample", "to": "vad"}, {"from": "vad", "to": "mine"}]}"#,
    )
    .unwrap();
    let plan = Plan::new(&Graph::new(&manifest).unwrap(), &PlanOptions::default()).unwrap();
    (RunMetrics::new(manifest.name(), &plan), plan)
}

fn usage(busy_us: u64) -> NodeUsage {
    NodeUsage { calls: 1, busy_ns: busy_us * 1000, ..NodeUsage::default() }
}

// spec: NRA-11
#[test]
fn node_times_are_recorded_to_the_microsecond() {
    let (mut metrics, plan) = metrics();
    let ranges = RunMetrics::ranges(&plan);
    assert_eq!(ranges, [0..2, 2..3]);
    metrics.record_stage(ranges[0].start, &[usage(7), usage(3)]);
    metrics.record_stage(ranges[0].start, &[usage(5), usage(2)]);
    metrics.record(ranges[1].start, &NodeUsage { marshal_ns: 4000, ..usage(11) });
    metrics.finish(Duration::from_micros(42));
    let [resample, vad, mine] = metrics.nodes.as_slice() else { panic!("three nodes") };
    assert_eq!(resample.busy, Duration::from_micros(12));
    assert_eq!(resample.shortest, Duration::from_micros(5));
    assert_eq!(resample.longest, Duration::from_micros(7));
    assert_eq!((vad.calls, vad.busy), (2, Duration::from_micros(5)));
    assert_eq!((mine.calls, mine.marshal), (1, Duration::from_micros(4)));
    assert_eq!(metrics.total, Duration::from_micros(42));
    assert!(resample.status == NodeStatus::Success && metrics.overhead > Duration::ZERO);
}

// spec: NRA-12
#[test]
fn peak_memory_is_the_highest_of_all_calls() {
    let (mut metrics, _) = metrics();
    for (peak, delta) in [(100, 10), (300, 5), (200, 40)] {
        let usage = NodeUsage { peak_memory_bytes: peak, peak_delta_bytes: delta, ..usage(1) };
        metrics.record(2, &usage);
    }
    assert_eq!(metrics.nodes[2].peak_memory_bytes, 300);
    assert_eq!(metrics.nodes[2].peak_delta_bytes, 40);
    assert_eq!(metrics.peak_memory_bytes(), 300);
}

// spec: NRA-12
#[test]
fn a_native_call_is_measured() {
    let probe = NativeProbe::start();
    // Written to, so that it is resident; larger than the memory that other tests free meanwhile.
    let block = vec![1_u8; 64 << 20];
    let usage = probe.finish(true);
    assert_eq!(std::hint::black_box(&block).len(), 64 << 20);
    assert_eq!((usage.calls, usage.errors), (1, 1));
    assert!(usage.busy_ns > 0);
    assert!(usage.peak_delta_bytes >= 32 << 20, "{usage:?}");
    assert!(usage.peak_memory_bytes >= usage.peak_delta_bytes);
    assert!(probe::resident_bytes() > 64 << 20);
}

#[test]
fn exceeded_limits_and_dropped_output_are_counted_for_their_node() {
    let (mut metrics, _) = metrics();
    metrics.count_excess("mine");
    metrics.count_dropped("mine", 10);
    metrics.count_dropped("mine", 5);
    metrics.count_dropped("of no node", 5);
    let counts =
        |at: usize| (metrics.nodes[at].limits_exceeded, metrics.nodes[at].log_dropped_bytes);
    assert_eq!((counts(0), counts(2)), ((0, 0), (1, 15)));
}

#[test]
fn errors_retries_and_lost_calls_count() {
    let (mut metrics, _) = metrics();
    metrics.record(0, &NodeUsage { errors: 1, ..usage(1) });
    let id = metrics.nodes[0].node_id.clone();
    metrics.retry(&id);
    metrics.record(0, &usage(1));
    assert_eq!(metrics.nodes[0].status, NodeStatus::Success);
    metrics.set_worker(2, 0, 4711);
    metrics.fail("mine", "crashed\nwith details", true);
    let (first, last) = (&metrics.nodes[0], &metrics.nodes[2]);
    assert_eq!((first.calls, first.errors, first.retries, first.successes()), (2, 1, 1, 1));
    assert_eq!((last.calls, last.errors, last.worker_pid), (1, 1, Some(4711)));
    assert_eq!(last.status, NodeStatus::Failed);
    assert_eq!(last.error.as_deref(), Some("crashed"));
    assert_eq!(metrics.nodes[1].status, NodeStatus::Skipped);
}

// spec: NRA-13
#[test]
fn json_has_the_keys_of_both_generations() {
    let (mut metrics, _) = metrics();
    metrics.record(1, &NodeUsage { peak_memory_bytes: 2 << 20, ..usage(1500) });
    metrics.finish(Duration::from_micros(2500));
    let json = metrics.to_json();
    for key in [
        "pipeline_id",
        "total_executions",
        "total_duration_us",
        "total_duration_ms",
        "total_time_ms",
        "peak_memory_bytes",
        "peak_memory_mb",
        "total_memory_mb",
        "metrics_overhead_us",
        "late_count",
        "node_count",
        "node_metrics",
        "nodes",
    ] {
        assert!(json.get(key).is_some_and(|value| !value.is_null()), "{key}");
    }
    assert_eq!(json["pipeline_id"], "demo");
    assert_eq!(json["total_duration_us"], 2500);
    assert_eq!(json["total_time_ms"], 2.5);
    assert_eq!(json["peak_memory_mb"], 2.0);
    assert_eq!(json["node_count"], 3);
    assert!(json["metrics_overhead_us"].as_f64().unwrap() > 0.0);
    assert_eq!(json["nodes"], json["node_metrics"]);
    let vad = &json["nodes"][1];
    for key in [
        "node_id",
        "node_type",
        "runtime",
        "status",
        "execution_count",
        "success_count",
        "error_count",
        "retry_count",
        "restore_count",
        "success_rate",
        "total_duration_us",
        "avg_duration_us",
        "min_duration_us",
        "max_duration_us",
        "execution_time_us",
        "execution_time_ms",
        "marshal_time_us",
        "peak_memory_bytes",
        "peak_delta_bytes",
        "memory_mb",
        "limits_exceeded",
        "log_dropped_bytes",
    ] {
        assert!(vad.get(key).is_some_and(|value| !value.is_null()), "{key}");
    }
    assert!(vad.get("worker_pid").is_some() && vad.get("error").is_some());
    assert_eq!(vad["execution_time_us"], 1500);
    assert_eq!(vad["runtime"], "rust_native");
    assert_eq!(json["nodes"][2]["runtime"], "cpython");
    assert_eq!(json["nodes"][2]["status"], "skipped");
}
