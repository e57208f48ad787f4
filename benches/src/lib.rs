//! The work whose times are promised, shared by the benchmarks that measure it and the tests that
//! check the benchmarks.

use serde_json::json;

/// A manifest as users write it: a chain of `nodes` native and Python nodes with parameters and
/// metadata. From three nodes on, a second connection leads from the first node to the last.
#[must_use]
pub fn manifest_of(nodes: usize) -> String {
    let kinds = [
        json!({"node_type": "ResampleNode", "params": {"target_rate": 16000, "quality": "high"}}),
        json!({"node_type": "VADNode", "params": {"threshold": -35.0, "output": "tagged"}}),
        json!({"node_type": "studio.nodes:Loudness", "timeout_ms": 5000, "isolated": true}),
        json!({"node_type": "PassThroughNode", "runtime_hint": "cpython"}),
        json!({"node_type": "FormatConverterNode", "params": {"target_format": "i16"}}),
    ];
    let listed: Vec<_> = (0..nodes)
        .map(|index| {
            let mut node = kinds[index % kinds.len()].clone();
            node["id"] = json!(id(index));
            node
        })
        .collect();
    let chain = (1..nodes).map(|index| json!({"from": id(index - 1), "to": id(index)}));
    let branch = (nodes > 2).then(|| json!({"from": id(0), "to": id(nodes - 1)}));
    let connections: Vec<_> = chain.chain(branch).collect();
    let manifest = json!({
        "version": "v1",
        "metadata": {"name": "bench", "description": "a pipeline of ordinary size"},
        "nodes": listed,
        "connections": connections,
    });
    manifest.to_string()
}

fn id(index: usize) -> String {
    format!("node_{index}")
}
