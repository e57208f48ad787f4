//! Tests of order, neighbours and all problems of a graph.

use proptest::prelude::*;

use super::{Edges, Graph, GraphProblem, connect};
use crate::model::{Connection, Manifest};

fn manifest(ids: &[&str], connections: &[(&str, &str)]) -> Manifest {
    let mut manifest = Manifest::parse(
        r#"{"version": "v1", "nodes": [{"id": "x", "node_type": "PassThroughNode"}]}"#,
    )
    .unwrap();
    let node = manifest.nodes.remove(0);
    manifest.nodes = ids
        .iter()
        .map(|id| {
            let mut node = node.clone();
            (*id).clone_into(&mut node.id);
            node
        })
        .collect();
    manifest.connections = connections
        .iter()
        .map(|(from, to)| Connection { from: (*from).to_owned(), to: (*to).to_owned() })
        .collect();
    manifest
}

fn ordered(ids: &[&str], connections: &[(&str, &str)]) -> Vec<String> {
    let graph = Graph::new(&manifest(ids, connections)).unwrap();
    graph.order().iter().map(|&node| graph.nodes()[node].id.clone()).collect()
}

fn problems(ids: &[&str], connections: &[(&str, &str)]) -> Vec<GraphProblem> {
    Graph::new(&manifest(ids, connections)).unwrap_err().problems
}

// spec: NRA-02
#[test]
fn graph_has_all_nodes_and_edges_in_topological_order() {
    let graph =
        Graph::new(&manifest(&["c", "a", "b"], &[("a", "b"), ("b", "c"), ("a", "c")])).unwrap();
    let ids: Vec<&str> = graph.nodes().iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["c", "a", "b"]);
    assert_eq!(graph.order(), [1, 2, 0]);
    assert_eq!(graph.outputs(1), [2, 0]);
    assert_eq!(graph.inputs(0), [2, 1]);
    assert_eq!(graph.roots().collect::<Vec<_>>(), [1]);
    assert_eq!(graph.sinks().collect::<Vec<_>>(), [0]);
}

// spec: NRA-02
#[test]
fn nodes_that_could_come_next_come_in_manifest_order() {
    let edges = [("s", "b"), ("s", "a"), ("a", "t"), ("b", "t")];
    assert_eq!(ordered(&["s", "b", "a", "t"], &edges), ["s", "b", "a", "t"]);
    assert_eq!(ordered(&["s", "a", "b", "t"], &edges), ["s", "a", "b", "t"]);
}

#[test]
fn nodes_without_connections_are_roots_and_sinks() {
    let graph = Graph::new(&manifest(&["a", "b"], &[])).unwrap();
    assert_eq!(graph.roots().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(graph.sinks().collect::<Vec<_>>(), [0, 1]);
}

// spec: NRA-04
#[test]
fn cycles_name_their_nodes_in_order() {
    let found = problems(&["A", "B"], &[("A", "B"), ("B", "A")]);
    let [problem] = found.as_slice() else { panic!("{found:?}") };
    assert!(problem.to_string().contains("cycle: A -> B -> A"), "{problem}");

    let found = problems(
        &["start", "c", "a", "b", "end"],
        &[("start", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("b", "end")],
    );
    let [GraphProblem::Cycle { nodes }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(nodes, &["c", "a", "b", "c"]);
}

// spec: NRA-04
#[test]
fn a_loop_is_a_cycle_and_every_cycle_is_reported() {
    let found = problems(&["a", "b", "c"], &[("a", "a"), ("b", "c"), ("c", "b")]);
    let cycles: Vec<String> = found
        .iter()
        .map(|problem| match problem {
            GraphProblem::Cycle { nodes } => nodes.join(" -> "),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(cycles, ["a -> a", "b -> c -> b"]);
}

// spec: FFI-08
#[test]
fn every_wrong_connection_is_reported() {
    let found = problems(
        &["first", "second", "first"],
        &[("first", "second"), ("frist", "second"), ("first", "nowhere"), ("first", "second")],
    );
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "Duplicate node ID 'first': nodes[0] has it already; give each node its own",
            "unknown source node 'frist', did you mean 'first'?",
            "unknown target node 'nowhere'; no node has this id",
            "'first' -> 'second' is connected already by connections[0]; remove one of them",
        ]
    );
    let paths: Vec<String> = found.iter().map(GraphProblem::path).collect();
    assert_eq!(
        paths,
        ["nodes[2].id", "connections[1].from", "connections[2].to", "connections[3]"]
    );
}

fn edges_of(count: usize, pairs: &[(usize, usize)]) -> Edges {
    let ids: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let connections: Vec<Connection> = pairs
        .iter()
        .map(|(from, to)| Connection { from: from.to_string(), to: to.to_string() })
        .collect();
    connect(&ids, &connections).0
}

proptest! {
    // spec: NRA-02
    #[test]
    fn any_graph_gives_an_order_or_a_real_cycle(
        pairs in proptest::collection::vec((0_usize..9, 0_usize..9), 0..24),
    ) {
        let edges = edges_of(9, &pairs);
        match edges.topological_order() {
            Ok(order) => {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                prop_assert_eq!(sorted, (0..9).collect::<Vec<_>>());
                let place = |node: usize| order.iter().position(|other| *other == node);
                for (from, to) in &pairs {
                    prop_assert!(place(*from) < place(*to));
                }
            }
            Err(cycles) => {
                prop_assert!(!cycles.is_empty());
                for cycle in &cycles {
                    let next = cycle.iter().cycle().skip(1);
                    for (from, to) in cycle.iter().zip(next) {
                        prop_assert!(edges.outputs[*from].contains(to));
                    }
                }
            }
        }
    }
}
