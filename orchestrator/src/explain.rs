//! The plan of a run as text and JSON: which node runs where, and why.

use std::fmt;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::placement::Origin;
use crate::placement::{Engine, NodeSource, PoolId};
use crate::plan::{Plan, PlannedNode, Unmatched};
use crate::reason::Reason;

#[cfg(test)]
mod tests;

/// A plan with the reasons for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Number of workers that a run takes from the pools.
    pub workers: usize,
    /// All nodes, stage by stage.
    pub nodes: Vec<NodeExplanation>,
    /// Patterns of pools that match no node of the pipeline.
    pub unmatched: Vec<Unmatched>,
}

/// Where one node runs, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeExplanation {
    /// Id in the manifest.
    pub node_id: String,
    /// Type in the manifest.
    pub node_type: String,
    /// Engine that runs the node.
    pub runtime: Engine,
    /// Number of its stage; the nodes of one stage are called one after another by one message.
    pub stage: usize,
    /// Number of its worker; `None` for native nodes.
    pub worker: Option<usize>,
    /// The workers of all its replicas; empty for a node without replicas.
    pub replicas: Vec<usize>,
    /// The worker's program; `None` when none is found.
    pub program: Option<PathBuf>,
    /// Name of the pool that the worker comes from; `None` for native nodes.
    pub pool: Option<String>,
    /// Why the node runs there; a phrase without a full stop.
    pub why: String,
    /// Why the node moved from RustPython to CPython; `None` if it did not move.
    pub moved: Option<Reason>,
}

impl Explanation {
    /// Explains a plan. `pool` returns the name of a pool, and the path of the program that its workers
    /// run.
    pub(crate) fn of(
        pipeline: &str,
        plan: &Plan,
        pool: impl Fn(PoolId) -> (String, Option<PathBuf>),
    ) -> Self {
        let node = |(stage, node): (usize, &PlannedNode)| {
            let slots = plan.slots_of(stage);
            let worker = slots.first().copied();
            let (pool, program) = worker.map(|_| pool(node.pool)).unzip();
            NodeExplanation {
                node_id: node.id.clone(),
                node_type: node.node_type.clone(),
                runtime: node.runtime,
                stage,
                worker,
                replicas: if slots.len() > 1 { slots } else { Vec::new() },
                program: program.flatten(),
                pool,
                why: why(node),
                moved: node.moved.clone(),
            }
        };
        Self {
            pipeline: pipeline.to_owned(),
            workers: plan.worker_slots,
            nodes: plan.nodes().map(node).collect(),
            unmatched: Vec::new(),
        }
    }

    /// The explanation as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let node = |node: &NodeExplanation| {
            json!({
                "node_id": node.node_id,
                "node_type": node.node_type,
                "runtime": node.runtime.name(),
                "stage": node.stage,
                "worker": node.worker,
                "replicas": node.replicas,
                "pool": node.pool,
                "program": node.program.as_ref().map(|path| path.display().to_string()),
                "why": node.why,
                "fallback": node.moved.as_ref().map(|reason| json!({
                    "from": Engine::RustPython.name(),
                    "kind": reason.kind(),
                    "module": reason.module(),
                    "reason": reason.to_string(),
                })),
            })
        };
        json!({
            "pipeline": self.pipeline,
            "workers": self.workers,
            "nodes": self.nodes.iter().map(node).collect::<Vec<_>>(),
            "warnings": self.unmatched.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }
}

fn why(node: &PlannedNode) -> String {
    if let Some(reason) = &node.moved {
        return format!("moved from RustPython, which {} chose: {reason}", node.origin);
    }
    if let Some(origin) = &node.pool_origin {
        return origin.to_string();
    }
    match (&node.source, node.origin) {
        (NodeSource::Native, Origin::Hint) => "its runtime_hint".to_owned(),
        (NodeSource::Native, _) => "it has a native form".to_owned(),
        (_, Origin::Default) => "the default for Python nodes".to_owned(),
        (_, origin) => origin.to_string(),
    }
}

impl fmt::Display for Explanation {
    /// One line per node, in columns.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |node: &NodeExplanation| match (node.worker, &node.pool) {
            (Some(_), Some(pool)) if !node.replicas.is_empty() => {
                let workers: Vec<String> = node.replicas.iter().map(ToString::to_string).collect();
                format!("{pool} workers {}", workers.join(", "))
            }
            (Some(worker), Some(pool)) => format!("{pool} worker {worker}"),
            _ => "native".to_owned(),
        };
        let width = |text: &dyn Fn(&NodeExplanation) -> usize| self.nodes.iter().map(text).max();
        let ids = width(&|node| node.node_id.len()).unwrap_or(0);
        let places = width(&|node| place(node).len()).unwrap_or(0);
        let (stages, workers) = (self.nodes.last().map_or(0, |last| last.stage + 1), self.workers);
        writeln!(out, "{}: {stages} stages, {workers} workers", self.pipeline)?;
        for node in &self.nodes {
            let (id, place, why) = (&node.node_id, place(node), &node.why);
            writeln!(out, "  stage {}  {id:ids$}  {place:places$}  {why}", node.stage)?;
        }
        self.unmatched.iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))
    }
}
