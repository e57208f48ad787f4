//! Which interpreter a node is planned for.

use super::*;

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
