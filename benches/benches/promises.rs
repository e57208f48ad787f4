//! Benchmarks of the promised times: parsing a manifest, building the graph and the plan,
//! collecting metrics. The limits are in the `README.md` of this crate.

use std::hint::black_box;

use benches::manifest_of;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ipc_protocol::from_worker::NodeUsage;
use orchestrator::Manifest;
use orchestrator::graph::Graph;
use orchestrator::metrics::RunMetrics;
use orchestrator::plan::{Plan, PlanOptions};

const SIZES: [usize; 2] = [5, 10];

fn parsed(nodes: usize) -> Manifest {
    match Manifest::parse(&manifest_of(nodes)) {
        Ok(manifest) => manifest,
        Err(error) => panic!("the benchmark's manifest is wrong: {error}"),
    }
}

fn built(nodes: usize) -> Graph {
    match Graph::new(&parsed(nodes)) {
        Ok(graph) => graph,
        Err(error) => panic!("the benchmark's graph is wrong: {error}"),
    }
}

fn manifest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse a manifest");
    for nodes in SIZES {
        let text = manifest_of(nodes);
        group.bench_with_input(BenchmarkId::from_parameter(nodes), &text, |bencher, text| {
            bencher.iter(|| Manifest::parse(black_box(text)));
        });
        // For comparison, the lower bound: parsing the same JSON without any check.
        group.bench_with_input(BenchmarkId::new("serde_json", nodes), &text, |bencher, text| {
            bencher.iter(|| serde_json::from_str::<serde_json::Value>(black_box(text)));
        });
    }
    group.finish();
}

fn graph(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build a graph");
    for nodes in SIZES {
        let manifest = parsed(nodes);
        group.bench_with_input(BenchmarkId::new("graph", nodes), &manifest, |bencher, manifest| {
            bencher.iter(|| Graph::new(black_box(manifest)));
        });
        let graph = built(nodes);
        let options = PlanOptions::default();
        group.bench_with_input(BenchmarkId::new("plan", nodes), &graph, |bencher, graph| {
            bencher.iter(|| Plan::new(black_box(graph), &options));
        });
    }
    group.finish();
}

fn metrics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("collect metrics");
    for nodes in SIZES {
        let plan = match Plan::new(&built(nodes), &PlanOptions::default()) {
            Ok(plan) => plan,
            Err(error) => panic!("the benchmark's plan is wrong: {error}"),
        };
        let usage = NodeUsage { calls: 1, busy_ns: 1_000, ..NodeUsage::default() };
        let record = |plan: &Plan| {
            let mut metrics = RunMetrics::new("bench", plan);
            (0..nodes).for_each(|node| metrics.record(node, black_box(&usage)));
            metrics
        };
        group.bench_with_input(BenchmarkId::new("record", nodes), &plan, |bencher, plan| {
            bencher.iter(|| record(plan));
        });
        group.bench_with_input(
            BenchmarkId::new("record and export", nodes),
            &plan,
            |bencher, plan| {
                bencher.iter(|| record(plan).to_json());
            },
        );
    }
    group.finish();
}

criterion_group!(promises, manifest, graph, metrics);
criterion_main!(promises);
