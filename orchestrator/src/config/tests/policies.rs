//! `[nodes.NAME]`.

use std::time::Duration;

use super::super::Config;
use crate::config::policies::decided;
use crate::model::{Manifest, OnOpen, RetryMode};

const MANIFEST: &str = r#"{"version": "v1", "nodes": [
    {"id": "vad_0", "node_type": "my.nodes:Vad", "timeout_ms": 100, "retry": false, "breaker": 2},
    {"id": "gain", "node_type": "my.nodes:Gain"},
    {"id": "end", "node_type": "other:End", "stateless": true}
]}"#;

fn problems(text: &str) -> Vec<String> {
    super::problems(text)
}

#[test]
fn the_operator_decides_for_nodes_by_their_names() {
    // spec: CARD-07, NRA-08
    let text = r#"
        [nodes.vad_0]
        timeout = "2 s"
        retry = true
        retry_on = ["Flaky"]
        deadline = "3 s"
        [nodes."my.*"]
        breaker = 9
        on_open = "drop"
        checkpoint_every = 5
        standby = 1
        [nodes.end]
        stateless = false
    "#;
    let config = Config::from_toml(text).unwrap();
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let nodes = decided(&config.nodes, &manifest).nodes;
    let [vad, gain, end] = nodes.as_slice() else { panic!("{nodes:?}") };
    assert_eq!(vad.timeout, Some(Duration::from_secs(2)));
    assert_eq!(vad.failing.retry, Some(RetryMode::Always));
    assert_eq!(vad.failing.retry_on, ["Flaky"]);
    assert_eq!(vad.failing.deadline, Some(Duration::from_secs(3)));
    for node in [vad, gain] {
        assert_eq!((node.failing.breaker, node.failing.on_open), (Some(9), Some(OnOpen::Drop)));
        assert_eq!((node.failing.checkpoint_every, node.failing.standby), (Some(5), Some(1)));
    }
    // What is not set stays the author's.
    assert_eq!((gain.timeout, gain.failing.retry), (None, None));
    assert_eq!((end.failing.breaker, end.failing.is_stateless), (None, false));
}

#[test]
fn all_problems_of_nodes_are_reported_with_their_places() {
    // spec: DSG-01
    let text = "[nodes.a]\nretries = 3\nretrie = true\ntimeout = 5\nstateless = 1\nstandby = 2\n\
                [nodes]\nb = 3\n[calls]\nwindow = 0\n";
    let found = problems(text);
    for (at, part) in [
        ("[nodes.a] retries", "unknown key `retries`"),
        ("[nodes.a] retrie", "did you mean `retry`"),
        ("[nodes.a] timeout", "a duration with its unit"),
        ("[nodes.a] stateless", "true or false"),
        ("[nodes.a] standby", "0 to 1"),
        ("[nodes.b]", "a section, written [nodes.b]"),
        ("[calls] window", "1 to"),
    ] {
        let is_it = |problem: &&String| problem.starts_with(at) && problem.contains(part);
        assert_eq!(found.iter().filter(is_it).count(), 1, "{at}: {part}: {found:#?}");
    }
    assert_eq!(found.len(), 7, "{found:#?}");
    assert!(problems("nodes = 3")[0].contains("sections, written [nodes.NAME]"));
    assert!(problems("[node.a]\nretry = true")[0].contains("nodes"));
}
