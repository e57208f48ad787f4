//! Joins neighbouring nodes into stages.

use crate::catalog::Catalog;
use crate::fallback::Finding;
use crate::graph::Graph;
use crate::model::{FailingPlan, ManifestNode, RuntimeHint};
use crate::placement::{Engine, Origin, Part, PoolId};

use super::{Place, PlanError, PlanOptions, PlannedNode, Stage, pools};

/// The most nodes of a native stage. They call each other, one a level of the caller's stack.
const MAX_NATIVE_NODES: usize = 100;

/// A stage on its way to a worker slot.
#[derive(Debug)]
pub(super) struct Chain {
    /// The stage; its place is final only when slots are assigned.
    pub(super) stage: Stage,
    /// The pool of its worker; `None`: it is native.
    pub(super) pool: Option<PoolId>,
    /// Whether it is a single isolated node. One with replicas is.
    pub(super) isolated: bool,
    /// The worker slots of its further replicas, once slots are assigned.
    pub(super) further: Vec<usize>,
    /// Whether the outputs of replicas go on in the order of their items.
    pub(super) is_ordered: bool,
}

impl Chain {
    /// Number of workers that run it side by side.
    pub(super) fn replicas(&self) -> usize {
        self.stage.nodes.first().map_or(1, |node| node.replicas)
    }
}

/// A node with its code, engine and time-out decided.
pub(super) fn planned(
    node: &ManifestNode,
    options: &PlanOptions,
    catalog: &Catalog,
) -> Result<PlannedNode, PlanError> {
    let resolved = catalog
        .resolve(node, options.python.runtime)
        .map_err(|problem| PlanError::Unresolved { node_id: node.id.clone(), problem })?;
    let mut runtime = resolved.runtime;
    let named = if runtime == Engine::Native { None } else { pools::named(node, options)? };
    runtime = named.as_ref().map_or(runtime, |(pool, _)| options.pools[*pool].engine);
    let (mut moved, mut is_on_trial) = (None, false);
    if runtime == Engine::RustPython && options.fallback {
        match options.findings.get(&node.id) {
            Some(Finding::Unsupported(reason)) => {
                runtime = Engine::CPython;
                moved = Some(reason.clone());
            }
            Some(Finding::Runs) => {}
            Some(Finding::Untried) | None => is_on_trial = true,
        }
    }
    let (pool, pool_origin) = match named.filter(|_| moved.is_none()) {
        Some((pool, origin)) => (pool, Some(origin)),
        None => (runtime.pool(), None),
    };
    let default_timeout = match runtime {
        Engine::Native => options.default_timeout,
        _ => options.pools[pool].default_timeout,
    };
    Ok(PlannedNode {
        id: node.id.clone(),
        node_type: node.node_type.clone(),
        source: resolved.source,
        params: node.params.clone(),
        timeout: node.timeout.or(default_timeout),
        own_timeout: node.timeout,
        limits: node.limits.clone(),
        failing: FailingPlan::new(&node.failing, &options.failing, options.is_run),
        runtime,
        origin: if node.runtime_hint == RuntimeHint::Auto {
            options.python.origin
        } else {
            Origin::Hint
        },
        pool,
        pool_origin,
        moved,
        is_on_trial,
        code_digest: None,
        is_streaming: node.is_streaming,
        is_source: node.is_source,
        replicas: if runtime == Engine::Native { 1 } else { node.replicas },
    })
}

/// The stages of a graph in topological order, without worker slots yet. `nodes` are the graph's
/// nodes, in its order.
pub(super) fn chains(graph: &Graph, nodes: Vec<PlannedNode>) -> Vec<Chain> {
    let isolated: Vec<bool> = graph
        .nodes()
        .iter()
        .zip(&nodes)
        .map(|(node, planned)| {
            (node.isolated || planned.replicas > 1) && planned.runtime != Engine::Native
        })
        .collect();
    let alone: Vec<bool> =
        nodes.iter().map(|node| node.is_on_trial || node.failing.stands_alone()).collect();
    let pool = |node: &PlannedNode| (node.runtime != Engine::Native).then_some(node.pool);
    let pools: Vec<Option<PoolId>> = nodes.iter().map(pool).collect();
    let follows = |node: usize| -> Option<usize> {
        let &[before] = graph.inputs(node) else { return None };
        let is_only = graph.outputs(before).len() == 1;
        let parted = |node: usize| isolated[node] || alone[node];
        let together = pools[before] == pools[node] && !parted(before) && !parted(node);
        (is_only && together).then_some(before)
    };

    let mut nodes: Vec<Option<PlannedNode>> = nodes.into_iter().map(Some).collect();
    let mut stage_of = vec![0; nodes.len()];
    let mut last_of: Vec<usize> = Vec::new();
    let mut first_of: Vec<usize> = Vec::new();
    let mut chains: Vec<Chain> = Vec::new();
    for &node in graph.order() {
        let Some(planned) = nodes[node].take() else { continue };
        let has_room = |stage: usize| {
            pools[node].is_some() || chains[stage].stage.nodes.len() < MAX_NATIVE_NODES
        };
        if let Some(stage) = follows(node).map(|before| stage_of[before]).filter(|s| has_room(*s)) {
            stage_of[node] = stage;
            last_of[stage] = node;
            chains[stage].stage.nodes.push(planned);
            continue;
        }
        stage_of[node] = chains.len();
        first_of.push(node);
        last_of.push(node);
        let stage = Stage {
            place: Place::Native,
            nodes: vec![planned],
            inputs: Vec::new(),
            outputs: Vec::new(),
            join: graph.nodes()[node].join,
            sink: None,
            part: Part::Whole,
        };
        chains.push(Chain {
            stage,
            pool: pools[node],
            isolated: isolated[node],
            further: Vec::new(),
            is_ordered: graph.nodes()[node].replicas_ordered,
        });
    }
    for (number, chain) in chains.iter_mut().enumerate() {
        let stages = |nodes: &[usize]| nodes.iter().map(|&node| stage_of[node]).collect();
        chain.stage.inputs = stages(graph.inputs(first_of[number]));
        chain.stage.outputs = stages(graph.outputs(last_of[number]));
        if chain.stage.outputs.is_empty() {
            chain.stage.sink = Some(graph.nodes()[last_of[number]].id.clone());
        }
    }
    chains
}
