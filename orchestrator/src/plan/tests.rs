//! Stages, places and worker slots.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Join, NodeSource, Place, Plan, PlanError, PlanOptions, PlanPool};
use crate::choice::Choice;
use crate::fallback::Finding;
use crate::graph::Graph;
use crate::manifest::Author;
use crate::model::Manifest;
use crate::placement::{Engine, Origin};
use crate::reason::Reason;

mod interpreters;
mod named_pools;

fn manifest(nodes: &[(&str, &str)], edges: &[(&str, &str)], extra: &[(&str, Json)]) -> Manifest {
    let nodes: Vec<Json> = nodes
        .iter()
        .map(|(id, node_type)| {
            let mut node = json!({"id": id, "node_type": node_type});
            for (of, fields) in extra.iter().filter(|(of, _)| of == id) {
                let fields = fields.as_object().unwrap();
                node.as_object_mut().unwrap().extend(fields.clone());
                assert_eq!(of, id);
            }
            node
        })
        .collect();
    let edges: Vec<Json> = edges.iter().map(|(from, to)| json!({"from": from, "to": to})).collect();
    let text = json!({"version": "v1", "nodes": nodes, "connections": edges}).to_string();
    Manifest::parse_from(&text, Author::Sdk).unwrap()
}

/// The pools of the two interpreters with at most so many workers.
fn pools(cpython: usize, rustpython: usize) -> Vec<PlanPool> {
    let section = |name: &str, engine, max| PlanPool {
        section: name.to_owned(),
        ..PlanPool::of_engine(engine, max)
    };
    vec![
        section("[workers]", Engine::CPython, cpython),
        section("[rustpython]", Engine::RustPython, rustpython),
    ]
}

fn plan_of(manifest: &Manifest, max_workers: usize) -> Result<Plan, PlanError> {
    let options = PlanOptions { pools: pools(max_workers, 4), ..PlanOptions::default() };
    Plan::new(&Graph::new(manifest).unwrap(), &options)
}

/// `P` is a Python node, `N` a native one; ids are single letters in front of it.
fn plan(nodes: &[&str], edges: &[&str], extra: &[(&str, Json)]) -> Plan {
    plan_of(&short(nodes, edges, extra), 8).unwrap()
}

fn short(nodes: &[&str], edges: &[&str], extra: &[(&str, Json)]) -> Manifest {
    let nodes: Vec<(&str, &str)> = nodes
        .iter()
        .map(|node| {
            let (id, kind) = node.split_at(1);
            (id, if kind == "N" { "PassThroughNode" } else { "my.nodes:Echo" })
        })
        .collect();
    let edges: Vec<(&str, &str)> = edges.iter().map(|edge| edge.split_at(1)).collect();
    manifest(&nodes, &edges, extra)
}

fn stages(plan: &Plan) -> Vec<(String, Place)> {
    plan.stages
        .iter()
        .map(|stage| {
            let ids: Vec<&str> = stage.nodes.iter().map(|node| node.id.as_str()).collect();
            (ids.concat(), stage.place)
        })
        .collect()
}

fn worker(slot: usize) -> Place {
    Place::Worker { slot }
}

#[test]
fn neighbours_in_the_same_place_are_one_stage() {
    let plan = plan(&["aN", "bN", "cP", "dP", "eP"], &["ab", "bc", "cd", "de"], &[]);
    assert_eq!(stages(&plan), [("ab".to_owned(), Place::Native), ("cde".to_owned(), worker(0))]);
    assert_eq!(plan.worker_slots, 1);
    assert_eq!(plan.stages[0].outputs, [1]);
    assert_eq!(plan.stages[1].inputs, [0]);
    assert_eq!(plan.stages[0].sink, None);
    assert_eq!(plan.stages[1].sink.as_deref(), Some("e"));
}

// The nodes of a native stage call each other, so a stage of any length would need any stack.
#[test]
fn a_native_stage_has_at_most_a_hundred_nodes() {
    let ids: Vec<String> = (0..250).map(|i| format!("n{i}")).collect();
    let nodes: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "PassThroughNode")).collect();
    let edges: Vec<(&str, &str)> =
        ids.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let plan = plan_of(&manifest(&nodes, &edges, &[]), 1).unwrap();
    let lengths: Vec<usize> = plan.stages.iter().map(|stage| stage.nodes.len()).collect();
    assert_eq!(lengths, [100, 100, 50]);
    assert_eq!(
        (plan.stages[1].inputs.as_slice(), plan.stages[1].outputs.as_slice()),
        (&[0][..], &[2][..])
    );
    assert_eq!(plan.stages[2].sink.as_deref(), Some("n249"));
}

#[test]
fn stages_in_a_line_share_a_worker_and_branches_do_not() {
    let plan = plan(&["aP", "bP", "cP", "dP"], &["ab", "ac", "bd", "cd"], &[]);
    assert_eq!(
        stages(&plan),
        [
            ("a".to_owned(), worker(0)),
            ("b".to_owned(), worker(0)),
            ("c".to_owned(), worker(1)),
            ("d".to_owned(), worker(1)),
        ]
    );
    assert_eq!(plan.worker_slots, 2);
    assert_eq!(plan.stages[3].inputs, [1, 2]);
    assert_eq!(plan.stages[0].outputs, [1, 2]);
}

#[test]
fn a_native_stage_between_python_stages_changes_no_worker() {
    let plan = plan(&["aP", "bN", "cP"], &["ab", "bc"], &[]);
    assert_eq!(
        stages(&plan),
        [("a".to_owned(), worker(0)), ("b".to_owned(), Place::Native), ("c".to_owned(), worker(0)),]
    );
}

#[test]
fn a_join_begins_a_stage_and_keeps_the_order_of_its_connections() {
    let zip = [("c", json!({"join": "zip"}))];
    let plan = plan(&["aN", "bN", "cN", "dN"], &["bc", "ac", "cd"], &zip);
    assert_eq!(plan.stages.len(), 3);
    assert_eq!(plan.stages[2].inputs, [1, 0]);
    assert_eq!(plan.stages[2].join, Join::Zip);
    assert_eq!(plan.stages[2].nodes.len(), 2);
    assert_eq!(plan.worker_slots, 0);
}

#[test]
fn an_isolated_node_has_a_stage_and_a_worker_of_its_own() {
    let isolated = [("b", json!({"isolated": true}))];
    let plan = plan(&["aP", "bP", "cP"], &["ab", "bc"], &isolated);
    assert_eq!(
        stages(&plan),
        [("a".to_owned(), worker(0)), ("b".to_owned(), worker(1)), ("c".to_owned(), worker(0))]
    );
}

#[test]
fn independent_nodes_are_roots_and_sinks() {
    let plan = plan(&["aP", "bP", "cN"], &[], &[]);
    assert!(plan.stages.iter().all(|stage| stage.inputs.is_empty() && stage.sink.is_some()));
    assert_eq!(plan.worker_slots, 2);
}

#[test]
fn a_plan_wider_than_the_pool_is_folded() {
    let wide = short(&["aP", "bP", "cP", "dP", "eP"], &[], &[("e", json!({"isolated": true}))]);
    assert_eq!(plan_of(&wide, 8).unwrap().worker_slots, 5);
    let folded = plan_of(&wide, 3).unwrap();
    assert_eq!(folded.worker_slots, 3);
    let slot = |at: usize| folded.stages[at].place;
    assert_eq!(slot(0), slot(2));
    assert_eq!(slot(1), slot(3));
    assert!((0..4).all(|at| slot(at) != slot(4)), "an isolated node shares a worker");
}

#[test]
fn too_many_isolated_nodes_are_an_error_that_names_them() {
    let isolated = json!({"isolated": true});
    let wide = short(&["aP", "bP", "cP"], &[], &[("a", isolated.clone()), ("b", isolated)]);
    let error = plan_of(&wide, 2).unwrap_err();
    assert_eq!(
        error,
        PlanError::TooFewWorkers {
            section: "[workers]".to_owned(),
            isolated: vec!["a".to_owned(), "b".to_owned()],
            shared: true,
            max_workers: 2
        }
    );
    assert!(error.to_string().contains("2 isolated node(s) (a, b)"), "{error}");
}

#[test]
fn a_plan_can_be_told_in_words() {
    let text = plan(&["aN", "bP"], &["ab"], &[]).describe();
    assert_eq!(
        text,
        "2 stages, 1 workers\n\
         stage 0  native    a (PassThroughNode, rust_native)  => stage 1\n\
         stage 1  worker 0  b (my.nodes:Echo, cpython)  => output\n"
    );
}

proptest! {
    /// Every node is in one stage, edges between stages are those between nodes, stages come in
    /// topological order, and stages of one slot follow one another unless slots were folded.
    #[test]
    fn any_graph_gives_a_sound_plan(
        kinds in proptest::collection::vec((any::<bool>(), any::<bool>()), 1..12),
        pairs in proptest::collection::vec((0_usize..12, 0_usize..12), 0..20),
        max_workers in 1_usize..6,
    ) {
        let ids: Vec<String> = (0..kinds.len()).map(|n| format!("n{n}")).collect();
        let nodes: Vec<(&str, &str)> = ids
            .iter()
            .zip(&kinds)
            .map(|(id, (native, _))| {
                (id.as_str(), if *native { "PassThroughNode" } else { "my.nodes:Echo" })
            })
            .collect();
        let mut edges: Vec<(&str, &str)> = pairs
            .iter()
            .filter(|(from, to)| from < to && *to < ids.len())
            .map(|(from, to)| (ids[*from].as_str(), ids[*to].as_str()))
            .collect();
        edges.sort_unstable();
        edges.dedup();
        let isolated: Vec<(&str, Json)> = ids
            .iter()
            .zip(&kinds)
            .filter(|(_, (native, isolated))| !native && *isolated)
            .map(|(id, _)| (id.as_str(), json!({"isolated": true})))
            .collect();
        let manifest = manifest(&nodes, &edges, &isolated);
        let plan = match plan_of(&manifest, max_workers) {
            Ok(plan) => plan,
            Err(PlanError::TooFewWorkers { .. }) => {
                prop_assert!(isolated.len() >= max_workers);
                return Ok(());
            }
            Err(other) => panic!("{other}"),
        };
        prop_assert!(plan.worker_slots <= max_workers);
        prop_assert_eq!(plan.nodes().count(), ids.len());
        let inside: usize = plan.stages.iter().map(|stage| stage.nodes.len() - 1).sum();
        let between: usize = plan.stages.iter().map(|stage| stage.inputs.len()).sum();
        prop_assert_eq!(inside + between, edges.len());
        for (number, stage) in plan.stages.iter().enumerate() {
            prop_assert!(stage.inputs.iter().all(|input| *input < number));
            prop_assert_eq!(stage.outputs.is_empty(), stage.sink.is_some());
            for output in &stage.outputs {
                prop_assert!(plan.stages[*output].inputs.contains(&number));
            }
            let lonely = stage.nodes.iter().any(|n| isolated.iter().any(|(id, _)| *id == n.id));
            if lonely {
                prop_assert_eq!(stage.nodes.len(), 1);
                let same = plan.stages.iter().filter(|other| other.place == stage.place).count();
                prop_assert_eq!(same, 1);
            }
        }
    }
}
