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

// spec: NRA-17
#[test]
fn auto_takes_the_native_node_where_there_is_one_and_cpython_elsewhere() {
    let nodes = [
        ("a", "AudioResampleNode"),
        ("b", "BufferNode"),
        ("c", "ResampleNode"),
        ("d", "VADNode"),
        ("e", "my.nodes:Thing"),
        ("f", "my.nodes:Other"),
    ];
    let extra = [
        ("c", json!({"runtime_hint": "python"})),
        ("d", json!({"runtime_hint": "rust_native"})),
        ("f", json!({"instance": 3, "timeout_ms": 250, "is_source": true})),
    ];
    let mut options = PlanOptions::default();
    options.pools[0].default_timeout = Some(Duration::from_secs(9));
    let graph = Graph::new(&manifest(&nodes, &[], &extra)).unwrap();
    let plan = Plan::new(&graph, &options).unwrap();
    let import = |module: &str, name: &str| NodeSource::Import {
        module: module.to_owned(),
        name: name.to_owned(),
    };
    let all: Vec<_> = plan.nodes().map(|(_, node)| node).collect();
    let chosen: Vec<_> = all.iter().map(|node| (node.runtime, node.source.clone())).collect();
    assert_eq!(
        chosen,
        [
            (Engine::Native, NodeSource::Native),
            (Engine::CPython, import("remotemedia.nodes.base", "BufferNode")),
            (Engine::CPython, import("remotemedia.nodes.audio", "AudioResampleNode")),
            (Engine::Native, NodeSource::Native),
            (Engine::CPython, import("my.nodes", "Thing")),
            (Engine::CPython, NodeSource::Instance(3)),
        ]
    );
    assert_eq!(all[4].timeout, Some(Duration::from_secs(9)));
    assert_eq!(all[5].timeout, Some(Duration::from_millis(250)));
    assert!(all[5].is_source);
}

fn rustpython(findings: &[(&str, Finding)]) -> PlanOptions {
    let findings = findings.iter().map(|(id, finding)| ((*id).to_owned(), finding.clone()));
    PlanOptions {
        python: Choice { runtime: Engine::RustPython, origin: Origin::Environment },
        findings: findings.collect(),
        ..PlanOptions::default()
    }
}

fn c_extension() -> Reason {
    Reason::Load { error: "ImportError: numpy".to_owned() }
}

/// Per stage the ids of its nodes, what runs them, and its place.
fn mixed(plan: &Plan) -> Vec<(String, Engine, Place)> {
    let runtime = |number: usize| plan.stages[number].nodes[0].runtime;
    let all = stages(plan).into_iter().enumerate();
    all.map(|(number, (ids, place))| (ids, runtime(number), place)).collect()
}

#[test]
fn the_switch_moves_every_python_node_that_names_no_interpreter() {
    // spec: CARD-07, NRA-17, IOP-40
    let nodes = ["aN", "bP", "cP", "dP"];
    let hints = [("c", json!({"runtime_hint": "cpython"}))];
    let graph = Graph::new(&short(&nodes, &["ab", "bc", "cd"], &hints)).unwrap();
    let all: Vec<_> = [Engine::CPython, Engine::RustPython]
        .into_iter()
        .map(|runtime| {
            let python = Choice { runtime, origin: Origin::Argument };
            let options = PlanOptions { python, ..PlanOptions::default() };
            let plan = Plan::new(&graph, &options).unwrap();
            plan.nodes().map(|(_, node)| (node.runtime, node.origin)).collect::<Vec<_>>()
        })
        .collect();
    let native = (Engine::Native, Origin::Argument);
    let hinted = (Engine::CPython, Origin::Hint);
    let chosen = |runtime| (runtime, Origin::Argument);
    assert_eq!(all[0], [native, chosen(Engine::CPython), hinted, chosen(Engine::CPython)]);
    assert_eq!(all[1], [native, chosen(Engine::RustPython), hinted, chosen(Engine::RustPython)]);
}

#[test]
fn nodes_that_rustpython_has_not_run_yet_stand_alone_and_others_are_joined() {
    // spec: IOP-39, IOP-41
    let (nodes, edges) = (["aP", "bP", "cP", "dP"], ["ab", "bc", "cd"]);
    let graph = Graph::new(&short(&nodes, &edges, &[])).unwrap();
    let plan = |options: &PlanOptions| Plan::new(&graph, options).unwrap();
    let (r, c) = (Engine::RustPython, Engine::CPython);
    let one = |ids: &str, runtime, slot| (ids.to_owned(), runtime, worker(slot));

    let untried = plan(&rustpython(&[]));
    let alone = ["a", "b", "c", "d"].map(|id| one(id, r, 0));
    assert_eq!(mixed(&untried), alone);
    assert_eq!(untried.worker_slots, 1, "they share a worker all the same");

    let runs = |id| (id, Finding::Runs);
    let tried = plan(&rustpython(&[runs("a"), runs("b"), runs("c"), runs("d")]));
    assert_eq!(mixed(&tried), [one("abcd", r, 0)]);

    // One that cannot run splits its stage, and the rest stays where it can.
    let moved = ("c", Finding::Unsupported(c_extension()));
    let split = rustpython(&[runs("a"), runs("b"), moved, runs("d")]);
    assert_eq!(mixed(&plan(&split)), [one("ab", r, 0), one("c", c, 1), one("d", r, 0)]);
    assert_eq!(plan(&split).nodes().nth(2).unwrap().1.moved, Some(c_extension()));

    // Without fallback nothing moves, and nothing needs to stand alone.
    let fixed = plan(&PlanOptions { fallback: false, ..split });
    assert_eq!(mixed(&fixed), [one("abcd", r, 0)]);
}

#[test]
fn each_interpreter_has_its_own_bound_on_workers() {
    // spec: CARD-03
    let hint = || json!({"runtime_hint": "rustpython"});
    let hints = [("b", hint()), ("c", hint()), ("d", hint())];
    let graph = Graph::new(&short(&["aP", "bP", "cP", "dP"], &[], &hints)).unwrap();
    let options = PlanOptions { pools: pools(1, 2), ..PlanOptions::default() };
    let plan = Plan::new(&graph, &options).unwrap();
    assert_eq!(plan.worker_slots, 3);
    let place = |at: usize| plan.stages[at].place;
    assert_eq!(place(1), place(3));
    assert!(place(0) != place(1) && place(0) != place(2) && place(1) != place(2));

    let alone = json!({"isolated": true, "runtime_hint": "rustpython"});
    let graph = Graph::new(&short(&["aP", "bP"], &[], &[("a", alone.clone()), ("b", alone)]));
    let options = PlanOptions { pools: pools(4, 1), ..PlanOptions::default() };
    let error = Plan::new(&graph.unwrap(), &options).unwrap_err().to_string();
    assert!(
        error.contains("2 isolated node(s) (a, b)") && error.contains("[rustpython]"),
        "{error}"
    );
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
