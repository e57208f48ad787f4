//! The promised times, each against the fastest of many runs: other work on the machine slows
//! single runs down, but not all of them, and the limits lie far above what the work takes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::manifest_of;
use ipc_protocol::from_worker::NodeUsage;
use orchestrator::Manifest;
use orchestrator::graph::Graph;
use orchestrator::metrics::RunMetrics;
use orchestrator::plan::{Plan, PlanOptions};

const RUNS: usize = 300;

fn fastest<T>(mut work: impl FnMut() -> T) -> Duration {
    let runs = (0..RUNS).map(|_| {
        let started = Instant::now();
        black_box(work());
        started.elapsed()
    });
    runs.min().unwrap_or(Duration::MAX)
}

#[test]
fn parsing_a_manifest_of_ten_nodes_stays_below_5_ms() {
    // spec: FFI-16
    let text = manifest_of(10);
    assert_eq!(Manifest::parse(&text).unwrap().nodes.len(), 10);
    let time = fastest(|| Manifest::parse(black_box(&text)));
    assert!(time < Duration::from_millis(5), "{time:?}");
}

#[test]
fn building_a_graph_of_ten_nodes_stays_below_1_ms() {
    // spec: FFI-17
    let manifest = Manifest::parse(&manifest_of(10)).unwrap();
    assert_eq!(Graph::new(&manifest).unwrap().order().len(), 10);
    let time = fastest(|| Graph::new(black_box(&manifest)));
    assert!(time < Duration::from_millis(1), "{time:?}");
}

#[test]
fn collecting_the_metrics_of_ten_nodes_stays_below_100_us() {
    // spec: FFI-18
    let graph = Graph::new(&Manifest::parse(&manifest_of(10)).unwrap()).unwrap();
    let plan = Plan::new(&graph, &PlanOptions::default()).unwrap();
    let usage = NodeUsage { calls: 1, busy_ns: 1_000, ..NodeUsage::default() };
    let collect = || {
        let mut metrics = RunMetrics::new("promise", &plan);
        (0..10).for_each(|node| metrics.record(node, black_box(&usage)));
        metrics.finish(Duration::from_millis(1));
        metrics
    };
    let exported = collect().to_json();
    let listed = exported["nodes"].as_array().into_iter().flatten().map(|node| &node["node_id"]);
    assert_eq!(listed.count(), 10);
    let time = fastest(collect);
    assert!(time < Duration::from_micros(100), "{time:?}");
}
