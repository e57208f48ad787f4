//! Parsing, validation and classification. `schema` tests agreement with the published schema.

mod json;
mod schema;

use serde_json::{Value as Json, json};

use super::{Author, ManifestErrorClass as Class, ProblemKind};
use crate::graph::GraphProblem;
use crate::limits::Limit;
use crate::model::{Join, Manifest, Metadata, RuntimeHint};

fn one(fields: &Json) -> String {
    let mut node = json!({"id": "n", "node_type": "PassThroughNode"});
    node.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"version": "v1", "nodes": [node]}).to_string()
}

/// A manifest with all fields.
fn full() -> Json {
    json!({
        "version": "v1",
        "metadata": {"name": "all of it", "description": "d",
            "created_at": "2026-01-31T12:00:00.123Z", "auto_negotiate": false},
        "python_env": {"mode": "system", "anything": 1},
        "nodes": [
            {"id": "first-1", "node_type": "my.nodes:Source", "params": {"threshold": 3},
             "runtime_hint": "CPython", "is_streaming": true, "is_source": true,
             "timeout_ms": 1500, "isolated": true, "deadline_ms": 5000, "retry": true,
             "retry_on": ["Flaky"], "breaker": 5, "on_open": "drop", "stateless": true,
             "checkpoint_every": 4, "standby": 1,
             "limits": {"memory": "2 GB", "cpu_time": "1.5 s", "open_files": 100}, "join": "zip", "instance": null,
             "capabilities": {"gpu": {"type": "cuda", "min_memory_gb": 8.0, "required": false},
                "cpu": {"cores": 2, "arch": "x86_64"}, "memory_gb": 1.5},
             "host": "gpu-server:50051",
             "execution": {"placement": "local", "reason": "r", "fallback": true},
             "is_output_node": false, "media_capabilities": {"in": []}, "docker": null,
             "fast_path": true, "python_deps": ["numpy>=2"]},
            {"id": "last_2", "node_type": "PassThroughNode"}
        ],
        "connections": [{"from": "first-1", "to": "last_2"}]
    })
}

fn problems(text: &str) -> Vec<String> {
    let error = Manifest::parse(text).unwrap_err();
    error.problems.iter().map(ToString::to_string).collect()
}

fn only(text: &str) -> String {
    let found = problems(text);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.into_iter().next().unwrap()
}

fn class(text: &str) -> Class {
    Manifest::parse(text).unwrap_err().class()
}

// spec: NRA-01
#[test]
fn a_manifest_of_the_first_specification_is_accepted() {
    let manifest = Manifest::parse(
        r#"{"version":"v1","nodes":[{"id":"vad","node_type":"VADNode"}],"connections":[]}"#,
    )
    .unwrap();
    assert_eq!(manifest.nodes[0].node_type, "VADNode");
    assert_eq!(manifest.metadata, Metadata::default());
    assert_eq!(manifest.name(), "pipeline");
}

// spec: NRA-01
#[test]
fn all_fields_of_both_generations_are_read() {
    let manifest = Manifest::parse_from(&full().to_string(), Author::Anyone).unwrap();
    assert_eq!(manifest.name(), "all of it");
    let node = &manifest.nodes[0];
    assert_eq!(node.id, "first-1");
    assert_eq!(node.params["threshold"], 3);
    assert_eq!(node.runtime_hint, RuntimeHint::CPython);
    assert!(node.is_streaming && node.is_source && node.isolated);
    assert_eq!(node.timeout.unwrap().as_millis(), 1500);
    let limits = [(Limit::Memory, 2_000_000_000), (Limit::CpuTime, 1_500), (Limit::OpenFiles, 100)];
    assert_eq!(node.limits, limits);
    assert_eq!(node.join, Join::Zip);
    assert_eq!(node.capabilities.as_ref().unwrap()["memory_gb"], 1.5);
    assert_eq!(manifest.connections.len(), 1);
}

#[test]
fn absent_and_null_are_the_same_for_optional_fields() {
    let fields = json!({"params": null, "runtime_hint": null, "is_streaming": null,
        "timeout_ms": null, "limits": null, "host": null, "execution": null, "docker": null, "instance": null});
    let nulls = Manifest::parse(&one(&fields)).unwrap();
    assert_eq!(nulls, Manifest::parse(&one(&json!({}))).unwrap());
}

#[test]
fn every_historic_hint_is_known_in_any_case() {
    for (text, wanted) in [
        ("auto", RuntimeHint::Auto),
        ("rust_native", RuntimeHint::Native),
        ("Native", RuntimeHint::Native),
        ("RUST", RuntimeHint::Native),
        ("cpython", RuntimeHint::CPython),
        ("Python", RuntimeHint::CPython),
        ("rust_python", RuntimeHint::RustPython),
        ("RustPython", RuntimeHint::RustPython),
        ("cpython_wasm", RuntimeHint::CPython),
        ("wasm", RuntimeHint::CPython),
    ] {
        assert_eq!(RuntimeHint::parse(text), Some(wanted), "{text}");
    }
    let found = only(&one(&json!({"runtime_hint": "cpyhton"})));
    assert!(found.contains("nodes[0].runtime_hint (node 'n')"), "{found}");
    assert!(found.contains("did you mean 'cpython'?"), "{found}");
}

// spec: NRA-01
// spec: FFI-03
// spec: FFI-07
#[test]
fn every_problem_is_reported_at_once_with_its_path_and_advice() {
    let text = r#"{
        "version": "v2",
        "metadata": {"name": "", "descripton": "x"},
        "nodes": [
            {"id": "a b", "node_type": "ResampleNode", "params": {"target_rat": 16000}},
            {"id": "b", "node_type": "ResampelNode"},
            {"node_type": "VADNode", "params": {"frame_duration_ms": "long"}},
            {"id": "b", "node_type": "AddNode", "timeout_ms": 0, "join": "zipp"},
            7
        ],
        "connections": [{"from": "b", "to": "c"}, {"from": "b"}],
        "conections": []
    }"#;
    let found = problems(text);
    for (path, phrase) in [
        ("version", "Unsupported manifest version \"v2\""),
        ("metadata.name", "1 to 255 characters"),
        ("metadata.descripton", "did you mean 'description'?"),
        ("nodes[0].id", "'a b' is not allowed"),
        ("nodes[0].params.target_rat", "did you mean 'target_rate'?"),
        ("nodes[1].node_type (node 'b')", "did you mean 'ResampleNode'?"),
        ("nodes[2].id", "missing"),
        ("nodes[3].timeout_ms", "from 1 to a year"),
        ("nodes[3].join", "did you mean 'zip'?"),
        ("nodes[3].id", "Duplicate node ID 'b'"),
        ("nodes[4]", "expected an object"),
        ("connections[0].to", "unknown target node 'c'"),
        ("connections[1].to", "missing"),
        ("conections", "did you mean 'connections'?"),
    ] {
        let hit = found.iter().any(|line| line.starts_with(path) && line.contains(phrase));
        assert!(hit, "{path}: {phrase}\nin {found:#?}");
    }
    let whole = Manifest::parse(text).unwrap_err().to_string();
    assert!(whole.starts_with("invalid manifest: "), "{whole}");
    assert!(found.iter().all(|line| whole.contains(line)));
    assert_eq!(class(text), Class::Invalid);
}

#[test]
fn parameters_are_checked_by_type_range_and_choice() {
    let text = json!({"version": "v1", "nodes": [{"id": "r", "node_type": "ResampleNode",
        "params": {"target_rate": "fast", "quality": "hgh", "input_rate": -5}}]});
    let found = problems(&text.to_string());
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].starts_with("nodes[0].params.target_rate (node 'r'): "), "{found:#?}");
    assert!(found[1].contains("did you mean 'high'?"), "{found:#?}");
    assert!(found[2].contains("between"), "{found:#?}");
    // A Python class checks its own parameters.
    let text = text.to_string().replace("\"id\"", "\"runtime_hint\": \"cpython\", \"id\"");
    Manifest::parse(&text).unwrap();
}

// spec: NRA-01
#[test]
fn text_that_is_not_json_is_told_with_line_and_column() {
    for (text, line, column, phrase) in [
        ("{\n  \"version\": v1\n}", 2, 14, "expected a value, found 'v'"),
        ("", 1, 1, "ends where a value should be"),
        ("{\"version\": \"v1\",}", 1, 18, "a key in double quotes"),
        ("{\"a\": 1 \"b\"}", 1, 9, "',' or '}'"),
        ("{\"ü\": [1, 02]}", 1, 11, "'02' is not a number"),
        ("[1] x", 1, 5, "expected the end"),
        ("\"\\ud800\"", 1, 2, "bad escape"),
    ] {
        let found = only(text);
        let place = format!("line {line}, column {column}: ");
        assert!(found.starts_with(&place) && found.contains(phrase), "{text}: {found}");
    }
    assert_eq!(class("{"), Class::Invalid);
    let deep = "[".repeat(200_000);
    assert!(only(&deep).contains("nested more than 128 levels deep"));
}

#[test]
fn repeated_keys_are_problems() {
    let text = r#"{"version": "v1", "version": "v1",
        "nodes": [{"id": "a", "node_type": "VADNode", "params": {"threshold": -30, "threshold": -20}}]}"#;
    let found = problems(text);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("version: this key appears twice"));
    assert!(found[1].starts_with("nodes[0].params.threshold: this key appears twice"));
}

// spec: FFI-23
#[test]
fn empty_manifests_need_a_node() {
    for text in [r#"{"version": "v1", "nodes": []}"#, r#"{"version": "v1"}"#] {
        assert!(only(text).contains("at least one node"), "{text}");
    }
    assert!(only("[]").contains("expected an object"));
}

#[test]
fn the_old_dialect_is_told_what_v1_has_instead() {
    let found = problems(
        r#"{"version": "1.0", "nodes": [{"id": "a", "type": "VADNode"}], "edges": [],
            "config": {"enable_metrics": true}}"#,
    );
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found.iter().any(|line| line.contains("Unsupported manifest version \"1.0\"")));
    assert!(found.iter().any(|line| line.starts_with("edges") && line.contains("\"connections\"")));
    assert!(found.iter().any(|l| l.starts_with("nodes[0].type") && l.contains("\"node_type\"")));
}

// spec: FFI-10
#[test]
fn unknown_types_alone_are_node_not_found() {
    let unknown = json!({"node_type": "VADNoode"});
    assert_eq!(class(&one(&unknown)), Class::NodeNotFound);
    assert!(only(&one(&unknown)).contains("did you mean 'VADNode'?"));
    let both = json!({"node_type": "VADNoode", "is_streaming": 1});
    assert_eq!(class(&one(&both)), Class::Invalid);
}

fn connected(edges: &[(&str, &str)]) -> String {
    let node = |id: &str| json!({"id": id, "node_type": "PassThroughNode"});
    let edges: Vec<Json> = edges.iter().map(|(a, b)| json!({"from": a, "to": b})).collect();
    json!({"version": "v1", "nodes": [node("A"), node("B")], "connections": edges}).to_string()
}

// spec: NRA-04
// spec: FFI-09
#[test]
fn cycles_are_cycle_errors_that_name_the_nodes() {
    let text = connected(&[("A", "B"), ("B", "A")]);
    assert_eq!(class(&text), Class::Cycle);
    assert!(only(&text).contains("cycle: A -> B -> A"));
    assert!(only(&connected(&[("A", "A")])).contains("cycle: A -> A"));
}

// spec: FFI-08
#[test]
fn wrong_connections_are_graph_errors() {
    assert_eq!(class(&connected(&[("A", "C")])), Class::Graph);
    assert!(only(&connected(&[("C", "B")])).contains("unknown source"));
    assert!(only(&connected(&[("A", "C")])).contains("unknown target"));
    assert_eq!(class(&connected(&[("A", "B"), ("A", "B")])), Class::Graph);
    assert_eq!(class(&connected(&[("A", "B"), ("B", "A"), ("A", "C")])), Class::Graph);
}

#[test]
fn connections_count_as_in_the_text_when_some_cannot_be_read() {
    let text = connected(&[("A", "B"), ("A", "nowhere")])
        .replace("\"connections\":[", "\"connections\":[3,");
    let error = Manifest::parse(&text).unwrap_err();
    let graph = error.problems.iter().find_map(|problem| match &problem.kind {
        ProblemKind::Graph(graph) => Some(graph),
        _ => None,
    });
    assert!(matches!(graph, Some(GraphProblem::UnknownTarget { connection: 2, .. })), "{error}");
}

#[test]
fn what_this_build_cannot_do_is_said() {
    for (fields, phrase) in [
        (json!({"host": "gpu:50051"}), "other machines"),
        (json!({"execution": {"placement": "remote"}}), "other machines"),
        (json!({"docker": {"image": "x"}}), "containers"),
        (json!({"isolated": true}), "isolate a native node"),
        (json!({"limits": {"memory": "1 GB"}}), "limit a native node"),
        (json!({"node_type": "a:B", "limits": {"log_rate": "0"}}), "set isolated to true"),
        (json!({"instance": 0}), "only the Python SDK"),
    ] {
        let found = only(&one(&fields));
        assert!(found.contains(phrase), "{fields}: {found}");
    }
    let local = json!({"host": "gpu:50051", "execution": {"placement": "prefer_local"}});
    Manifest::parse(&one(&local)).unwrap();
    let mut marked: Json = serde_json::from_str(&connected(&[("A", "B")])).unwrap();
    marked["nodes"][1]["is_output_node"] = json!(true);
    Manifest::parse(&marked.to_string()).unwrap();
    marked["nodes"][0]["is_output_node"] = json!(true);
    assert!(only(&marked.to_string()).starts_with("nodes[0].is_output_node (node 'A')"));
    marked["nodes"][0]["is_output_node"] = json!(false);
    marked["metadata"] = json!({"auto_negotiate": true});
    assert!(only(&marked.to_string()).contains("converters"));
    marked["metadata"] = Json::Null;
    marked["python_env"] = json!({"mode": "managed"});
    assert!(only(&marked.to_string()).contains("Python environments"));
}

#[test]
fn limits_have_names_units_and_ranges() {
    let limited = |limits: &Json| {
        one(&json!({"node_type": "my.nodes:Echo", "isolated": true, "limits": limits}))
    };
    for (limits, phrase) in [
        (json!({"memroy": "1 GB"}), "did you mean 'memory'?"),
        (json!({"memory": "1"}), "a size has a unit"),
        (json!({"memory": 1}), "expected a text"),
        (json!({"memory": "1 MiB"}), "32 MiB to 1 PiB"),
        (json!({"cpu_time": "1 GB"}), "a time has a unit"),
        (json!({"open_files": -1}), "a whole number up to 1048576"),
    ] {
        let found = only(&limited(&limits));
        assert!(found.contains(phrase) && found.contains("nodes[0].limits"), "{found}");
    }
    let lifted = Manifest::parse(&limited(&json!({"memory": "0", "cpu_time": "10 us"}))).unwrap();
    assert_eq!(lifted.nodes[0].limits, [(Limit::Memory, 0), (Limit::CpuTime, 1)]);
}

#[test]
fn instances_are_for_the_sdk() {
    let text = one(&json!({"node_type": "__main__:Mine", "instance": 3}));
    let manifest = Manifest::parse_from(&text, Author::Sdk).unwrap();
    assert_eq!(manifest.nodes[0].instance, Some(3));
    let wrong = one(&json!({"node_type": "__main__:Mine", "instance": -1}));
    assert!(Manifest::parse_from(&wrong, Author::Sdk).is_err());
}

#[test]
fn integers_beyond_64_bits_are_refused_and_not_rounded() {
    let text = one(&json!({"node_type": "my.nodes:Echo"})).replace(
        "\"id\"",
        "\"params\": {\"n\": [18446744073709551615, 18446744073709551616]}, \"id\"",
    );
    let found = only(&text);
    assert!(found.starts_with("nodes[0].params.n[1] (node 'n'): the integer 184467440737095516"));
}
