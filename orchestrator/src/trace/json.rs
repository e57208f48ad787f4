//! A recording as JSON: sums of nodes, and each call with its times.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::{Recording, call};

pub(super) fn recording(recording: &Recording) -> Json {
    let at = |moment: Instant| micros(moment.saturating_duration_since(recording.began));
    let nodes = recording.nodes.iter().map(|node| {
        json!({
            "node_id": node.node_id,
            "stage": node.stage,
            "calls": node.calls,
            "node_us": micros(node.node),
            "marshalling_us": micros(node.marshalling),
            "waiting_us": micros(node.waiting),
            "transport_us": micros(node.transport),
        })
    });
    let calls = recording.calls.iter().map(|call| {
        json!({
            "stage": call.stage,
            "replica": call.replica,
            "ready_us": call.ready.map(at),
            "begin_us": at(call.begin),
            "end_us": at(call.end),
            "suspended_us": micros(call.suspended),
            "transport_us": micros(call.transport()),
            "nodes": call.costs.iter().map(cost).collect::<Vec<_>>(),
            "outputs": call.outputs,
            "has_failed": call.has_failed,
        })
    });
    let conversions = recording.conversions.iter().map(|conversion| {
        json!({
            "is_input": conversion.is_input,
            "begin_us": at(conversion.begin),
            "took_us": micros(conversion.took),
        })
    });
    json!({
        "opening_us": micros(recording.opening),
        "closing_us": micros(recording.closing),
        "converting_us": micros(recording.converting),
        "nodes": nodes.collect::<Vec<_>>(),
        "calls": calls.collect::<Vec<_>>(),
        "conversions": conversions.collect::<Vec<_>>(),
        "left_out": recording.left_out,
    })
}

fn cost(cost: &call::Cost) -> Json {
    json!([micros(cost.node), micros(cost.marshalling)])
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
