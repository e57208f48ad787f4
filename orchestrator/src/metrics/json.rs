//! Metrics as JSON. Some values have several keys, so that code written for any earlier version
//! finds the key that it expects.

use std::time::Duration;

use ipc_protocol::from_worker::Traffic;
use serde_json::{Value as Json, json};

use super::{NodeMetrics, RunMetrics};
use crate::placement::Engine;
use crate::reason::Reason;

const MIB: f64 = 1_048_576.0;

pub(super) fn run(metrics: &RunMetrics) -> Json {
    let nodes: Vec<Json> = metrics.nodes.iter().map(node).collect();
    let peak = metrics.peak_memory_bytes();
    json!({
        "pipeline_id": metrics.pipeline_id,
        "total_executions": metrics.executions,
        "total_duration_us": micros(metrics.total),
        "total_duration_ms": millis(metrics.total),
        "total_time_ms": millis(metrics.total),
        "peak_memory_bytes": peak,
        "peak_memory_mb": mib(peak),
        "total_memory_mb": mib(peak),
        "metrics_overhead_us": metrics.overhead.as_secs_f64() * 1e6,
        "late_count": metrics.late,
        "fallback_count": metrics.nodes.iter().filter(|node| node.fallback.is_some()).count(),
        "node_count": metrics.nodes.len(),
        "node_metrics": nodes,
        "nodes": nodes,
    })
}

fn node(node: &NodeMetrics) -> Json {
    let calls = u32::try_from(node.calls).unwrap_or(u32::MAX);
    let mean = node.processing.checked_div(calls).unwrap_or_default();
    let memory = node.memory;
    let of_worker = |bytes: u64| (node.runtime != Engine::Native).then_some(bytes);
    let of_numpy = |bytes: u64| (node.runtime == Engine::CPython).then_some(bytes);
    let rate = if node.calls == 0 { 1.0 } else { float(node.successes()) / float(node.calls) };
    json!({
        "node_id": node.node_id,
        "node_type": node.node_type,
        "runtime": node.runtime.name(),
        "fallback": node.fallback.as_ref().map(fallback),
        "worker_pid": node.worker_pid,
        "replica_pids": node.replicas,
        "status": node.status.name(),
        "error": node.error,
        "execution_count": node.calls,
        "success_count": node.successes(),
        "error_count": node.errors,
        "retry_count": node.retries,
        "restore_count": node.restores,
        "skipped_count": node.skipped,
        "success_rate": rate,
        "total_duration_us": micros(node.busy),
        "avg_duration_us": micros(mean),
        "min_duration_us": micros(node.shortest),
        "max_duration_us": micros(node.longest),
        "execution_time_us": micros(node.busy),
        "execution_time_ms": millis(node.busy),
        "marshal_time_us": micros(node.marshal),
        "peak_memory_bytes": node.peak_memory_bytes,
        "peak_delta_bytes": node.peak_delta_bytes,
        "delta_private_bytes": of_worker(memory.delta_private_bytes),
        "delta_shared_bytes": of_worker(memory.delta_shared_bytes),
        "array_private_bytes": of_numpy(memory.array_private_bytes),
        "array_shared_bytes": of_numpy(memory.array_shared_bytes),
        "memory_mb": mib(node.peak_memory_bytes),
        "limits_exceeded": node.limits_exceeded,
        "log_dropped_bytes": node.log_dropped_bytes,
        "copies": node.moved.incoming.copies + node.moved.outgoing.copies,
        "copied_bytes": node.moved.incoming.copied_bytes + node.moved.outgoing.copied_bytes,
        "hops": {"in": hop(node.moved.incoming), "out": hop(node.moved.outgoing)},
    })
}

fn fallback(reason: &Reason) -> Json {
    json!({
        "from": Engine::RustPython.name(),
        "kind": reason.kind(),
        "module": reason.module(),
        "reason": reason.to_string(),
    })
}

fn hop(traffic: Traffic) -> Json {
    json!({
        "copies": traffic.copies,
        "copied_bytes": traffic.copied_bytes,
        "shared_bytes": traffic.shared_bytes,
        "inline_bytes": traffic.inline_bytes,
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mib(bytes: u64) -> f64 {
    float(bytes) / MIB
}

#[expect(
    clippy::cast_precision_loss,
    reason = "shown to people; rounding above 2^53 does not matter"
)]
fn float(count: u64) -> f64 {
    count as f64
}
