//! The promised times are measured in `benches/`, with machine and method. These tests check that
//! the benchmarks exist and that the promised work is what they measure, on a real manifest.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use benches::manifest_of;
use ipc_protocol::from_worker::NodeUsage;
use orchestrator::Manifest;
use orchestrator::graph::Graph;
use orchestrator::metrics::RunMetrics;
use orchestrator::plan::{Plan, PlanOptions};

/// Checks that the benchmark exists, and that `benches/README.md` lists it with its limit.
fn assert_measured(benchmark: &str, limit: &str) {
    let root = tests::repository::absolute("");
    let source = std::fs::read_to_string(root.join("benches/benches/promises.rs")).unwrap();
    assert!(source.contains(&format!("benchmark_group(\"{benchmark}\")")), "{benchmark}");
    let page = std::fs::read_to_string(root.join("benches/README.md")).unwrap();
    let row = page.lines().find(|line| line.contains(&format!("`{benchmark}`")));
    assert!(row.is_some_and(|row| row.contains(limit)), "{benchmark} is not told with {limit}");
}

#[test]
fn parsing_a_manifest_of_ten_nodes_is_measured() {
    // spec: FFI-16
    let manifest = Manifest::parse(&manifest_of(10)).unwrap();
    assert_eq!(manifest.nodes.len(), 10);
    assert_measured("parse a manifest", "5 ms");
}

#[test]
fn building_a_graph_of_ten_nodes_is_measured() {
    // spec: FFI-17
    let graph = Graph::new(&Manifest::parse(&manifest_of(10)).unwrap()).unwrap();
    assert_eq!(graph.order().len(), 10);
    assert_measured("build a graph", "1 ms");
}

#[test]
fn collecting_the_metrics_of_ten_nodes_is_measured() {
    // spec: FFI-18
    let graph = Graph::new(&Manifest::parse(&manifest_of(10)).unwrap()).unwrap();
    let plan = Plan::new(&graph, &PlanOptions::default()).unwrap();
    let mut metrics = RunMetrics::new("promise", &plan);
    let usage = NodeUsage { calls: 1, busy_ns: 1_000, ..NodeUsage::default() };
    (0..10).for_each(|node| metrics.record(node, &usage));
    metrics.finish(Duration::from_millis(1));
    let exported = metrics.to_json();
    assert_eq!(exported["nodes"].as_array().map(Vec::len), Some(10));
    // The metrics include the cost of recording them.
    assert!(exported["metrics_overhead_us"].as_f64().is_some_and(|us| us > 0.0));
    assert_measured("collect metrics", "100 µs");
}
