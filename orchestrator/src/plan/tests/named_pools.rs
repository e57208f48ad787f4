//! Which pool a node gets, and why.

use serde_json::{Value as Json, json};

use super::{pools, short};
use crate::graph::Graph;
use crate::placement::{Engine, PoolOrigin};
use crate::plan::{Plan, PlanError, PlanOptions, PlanPool, unmatched};

fn named(name: &str, engine: Engine, patterns: &[&str]) -> PlanPool {
    PlanPool {
        name: name.to_owned(),
        section: format!("[pools.{name}]"),
        patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        ..PlanPool::of_engine(engine, 2)
    }
}

/// The pools of the interpreters, `gpu` (2) and `small` (3, RustPython).
fn options(gpu: &[&str], small: &[&str]) -> PlanOptions {
    let mut pools = pools(4, 4);
    pools.push(named("gpu", Engine::CPython, gpu));
    pools.push(named("small", Engine::RustPython, small));
    PlanOptions { pools, fallback: false, ..PlanOptions::default() }
}

fn plan(
    nodes: &[&str],
    edges: &[&str],
    extra: &[(&str, Json)],
    options: &PlanOptions,
) -> Result<Plan, PlanError> {
    Plan::new(&Graph::new(&short(nodes, edges, extra)).unwrap(), options)
}

/// The pool of each node, and who chose it.
fn chosen(plan: &Plan) -> Vec<(usize, Option<PoolOrigin>)> {
    plan.nodes().map(|(_, node)| (node.pool, node.pool_origin.clone())).collect()
}

/// spec: CARD-09
#[test]
fn a_pattern_is_stronger_than_the_node_and_the_node_than_its_pipeline() {
    let mut options = options(&["a", "my.nodes:E*"], &[]);
    let pattern = |text: &str| Some(PoolOrigin::Pattern(text.to_owned()));
    let of = |extra: &[(&str, Json)], options: &PlanOptions| {
        chosen(&plan(&["aP"], &[], extra, options).unwrap())
    };
    let small = ("a", json!({"pool": "small"}));
    assert_eq!(of(&[], &options), [(2, pattern("my.nodes:E*"))], "it has more characters than a");
    assert_eq!(of(std::slice::from_ref(&small), &options), [(2, pattern("my.nodes:E*"))]);
    options.pools[2].patterns.clear();
    options.pipeline_pool = Some("gpu".to_owned());
    assert_eq!(of(&[small], &options), [(3, Some(PoolOrigin::Node))]);
    assert_eq!(of(&[], &options), [(2, Some(PoolOrigin::Pipeline))]);
    options.pipeline_pool = None;
    assert_eq!(of(&[], &options), [(0, None)]);
}

/// spec: CARD-09
#[test]
fn nodes_of_different_pools_share_no_worker_and_native_ones_have_none() {
    let options = options(&["b"], &[]);
    let plan = plan(&["aP", "bP", "cP", "dN"], &["ab", "bc", "cd"], &[], &options).unwrap();
    let pools: Vec<usize> = chosen(&plan).into_iter().map(|(pool, _)| pool).collect();
    assert_eq!(pools[..3], [0, 2, 0]);
    assert_eq!((plan.stages.len(), plan.worker_slots), (4, 2));
    assert_eq!(plan.stages[0].place, plan.stages[2].place, "one comes after the other");
}

/// spec: CARD-07
#[test]
fn a_pool_decides_which_interpreter_runs_its_nodes() {
    let options = options(&[], &["a"]);
    let small = plan(&["aP"], &[], &[], &options).unwrap();
    assert_eq!(small.stages[0].nodes[0].runtime, Engine::RustPython);
    let hinted = ("a", json!({"runtime_hint": "cpython"}));
    let small = plan(&["aP"], &[], &[hinted], &options).unwrap();
    assert_eq!(small.stages[0].nodes[0].runtime, Engine::RustPython, "the operator decides");
}

#[test]
fn what_cannot_be_meant_is_an_error() {
    let options = options(&["x*"], &["*x"]);
    let error = |nodes: &[&str], extra: &[(&str, Json)]| {
        plan(nodes, &[], extra, &options).unwrap_err().to_string()
    };
    let unknown = error(&["aP"], &[("a", json!({"pool": "gpuu"}))]);
    assert!(unknown.contains("no pool 'gpuu', did you mean 'gpu'?"), "{unknown}");
    let both = error(&["xP"], &[]);
    assert!(both.contains("pools 'gpu' and 'small' both claim it"), "{both}");
    let against = json!({"pool": "gpu", "runtime_hint": "rustpython"});
    let against = error(&["aP"], &[("a", against)]);
    assert!(against.contains("pool 'gpu' runs cpython"), "{against}");
    let isolated = json!({"isolated": true, "pool": "gpu"});
    let many = error(
        &["aP", "bP", "cP"],
        &[("a", isolated.clone()), ("b", isolated.clone()), ("c", isolated)],
    );
    assert!(many.contains("[pools.gpu] max allows 2"), "{many}");
}

#[test]
fn a_pipelines_pool_leaves_nodes_alone_that_ask_for_another_interpreter() {
    let options = PlanOptions { pipeline_pool: Some("gpu".to_owned()), ..options(&[], &[]) };
    let hinted = ("a", json!({"runtime_hint": "rustpython"}));
    let plan = plan(&["aP"], &[], &[hinted], &options).unwrap();
    assert_eq!(chosen(&plan), [(1, None)]);
}

#[test]
fn a_pattern_that_means_no_node_names_the_most_similar_one() {
    let options = options(&["my.nodes:Ecko*", "a"], &[]);
    let found = unmatched(&options.pools, &short(&["aP"], &[], &[]).nodes);
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    let expected = "pool 'gpu': the pattern 'my.nodes:Ecko*' in `nodes` means no node; the most similar \
                    name is 'my.nodes:Echo'";
    assert_eq!(told, [expected]);
}

#[test]
fn a_removed_pool_takes_no_nodes() {
    let mut options = options(&["a"], &[]);
    options.pools[2].is_removed = true;
    assert_eq!(chosen(&plan(&["aP"], &[], &[], &options).unwrap()), [(0, None)]);
    let extra = ("a", json!({"pool": "gpu"}));
    let error = plan(&["aP"], &[], &[extra], &options).unwrap_err();
    assert!(matches!(error, PlanError::UnknownPool { .. }), "{error}");
}
