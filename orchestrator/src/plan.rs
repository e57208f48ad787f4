//! The plan of a graph: which nodes form a stage, and which worker slot a stage runs in. Pure;
//! workers for the slots come from the pools.
//!
//! A stage is a maximal chain of neighbouring nodes in the same place (of at most 100 native ones), the
//! unit of dispatch. Stages
//! that follow one another share a worker, parallel branches run side by side on different ones,
//! and an isolated node has a worker to itself.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use crate::catalog::{Catalog, ResolveError};
use crate::choice::Choice;
use crate::fallback::Finding;
use crate::graph::Graph;
use crate::limits::Limit;
use crate::model::{FailingDefaults, FailingPlan, Join};
use crate::placement::{Engine, NodeSource, Origin};
use crate::reason::Reason;

mod slots;
mod stages;
#[cfg(test)]
mod tests;

/// How a graph is laid out on native code and worker slots.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Stages in topological order; the index is the stage's number.
    pub stages: Vec<Stage>,
    /// Number of workers that the plan needs; slots are numbered from 0.
    pub worker_slots: usize,
}

/// A maximal chain of neighbouring nodes that run in the same place.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Where it runs.
    pub place: Place,
    /// Its nodes, in the order data flows; at least one.
    pub nodes: Vec<PlannedNode>,
    /// Upstream stages in connection order; empty for a root.
    pub inputs: Vec<usize>,
    /// Downstream stages in connection order.
    pub outputs: Vec<usize>,
    /// How its first node takes several inputs.
    pub join: Join,
    /// Id of its last node, when nothing follows it.
    pub sink: Option<String>,
}

/// Where a stage runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the orchestrator.
    Native,
    /// In a worker process.
    Worker {
        /// Number of the worker slot in the plan.
        slot: usize,
    },
}

/// A node of a plan, with its engine, code, parameters and limits.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedNode {
    /// Id in the manifest.
    pub id: String,
    /// Type in the manifest.
    pub node_type: String,
    /// Where its code comes from.
    pub source: NodeSource,
    /// Its parameters, as written.
    pub params: Map<String, Json>,
    /// Longest time from a call, or from its last output, to the next output or the call's end;
    /// `None`: no limit.
    pub timeout: Option<Duration>,
    /// Limits of its worker that differ from the configuration; only where it is isolated.
    pub limits: Vec<(Limit, u64)>,
    /// What happens when it fails.
    pub failing: FailingPlan,
    /// The engine that runs it.
    pub runtime: Engine,
    /// The setting that chose the engine.
    pub origin: Origin,
    /// Why it runs on CPython although RustPython was chosen; `None` when it was not moved.
    pub moved: Option<Reason>,
    /// Whether RustPython has not run its code yet. It is then a stage of its own, so that its
    /// input can be sent to CPython if it has to move.
    pub is_on_trial: bool,
    /// The digest of its code, where RustPython was chosen for it and the code is known.
    pub code_digest: Option<String>,
    /// Whether it gets its inputs as one stream and not one per call.
    pub is_streaming: bool,
    /// Whether it produces without input.
    pub is_source: bool,
}

/// What a plan depends on besides the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanOptions {
    /// Most CPython workers that one session may hold; at least 1.
    pub max_workers: usize,
    /// Most RustPython workers that one session may hold; at least 1.
    pub max_rustpython: usize,
    /// Interpreter of Python nodes whose hint names none.
    pub python: Choice,
    /// Whether nodes that RustPython cannot run move to CPython.
    pub fallback: bool,
    /// What is known about how nodes run on RustPython, by their ids.
    pub findings: HashMap<String, Finding>,
    /// Time limit of nodes that have none of their own.
    pub default_timeout: Option<Duration>,
    /// What happens when nodes fail, as far as they leave it open.
    pub failing: FailingDefaults,
    /// Whether the plan is for one run and not for a session that stays open.
    pub is_run: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            max_workers: 4,
            max_rustpython: 4,
            python: Choice::default(),
            fallback: true,
            findings: HashMap::new(),
            default_timeout: None,
            failing: FailingDefaults::default(),
            is_run: false,
        }
    }
}

/// Why a graph cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A node has no code for the engine that it asks for.
    #[error("node '{node_id}': {problem}")]
    Unresolved {
        /// Id of the node.
        node_id: String,
        /// Why its type has no code there.
        problem: ResolveError,
    },
    /// Isolated nodes need more workers than the pool may have.
    #[error(
        "{} isolated node(s) ({}) {}need a worker each, and {} max allows {max_workers}; \
         raise it or isolate fewer nodes",
        .isolated.len(), .isolated.join(", "),
        if *.shared { "and the other Python nodes " } else { "" },
        if *.runtime == Engine::RustPython { "[rustpython]" } else { "[workers]" }
    )]
    TooFewWorkers {
        /// The engine of the workers.
        runtime: Engine,
        /// Ids of the isolated nodes.
        isolated: Vec<String>,
        /// Whether Python nodes that are not isolated need one more worker.
        shared: bool,
        /// Most workers that the pool may have.
        max_workers: usize,
    },
}

impl Plan {
    /// Plans a graph.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub fn new(graph: &Graph, options: &PlanOptions) -> Result<Self, PlanError> {
        let catalog = Catalog::builtin();
        let mut nodes = Vec::with_capacity(graph.nodes().len());
        for node in graph.nodes() {
            nodes.push(stages::planned(node, options, catalog)?);
        }
        let mut chains = stages::chains(graph, nodes);
        let worker_slots = slots::assign(&mut chains, options)?;
        let stages = chains.into_iter().map(|chain| chain.stage).collect();
        Ok(Self { stages, worker_slots })
    }

    /// All nodes with the number of their stage, stage by stage. Metrics list the nodes in this
    /// order.
    pub fn nodes(&self) -> impl Iterator<Item = (usize, &PlannedNode)> {
        self.stages
            .iter()
            .enumerate()
            .flat_map(|(stage, of)| of.nodes.iter().map(move |node| (stage, node)))
    }

    /// The plan as text, one line per stage: where it runs, its nodes, and the stages behind it.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = format!("{} stages, {} workers\n", self.stages.len(), self.worker_slots);
        for (number, stage) in self.stages.iter().enumerate() {
            let place = match stage.place {
                Place::Native => "native  ".to_owned(),
                Place::Worker { slot } => format!("worker {slot}"),
            };
            let nodes: Vec<String> = stage
                .nodes
                .iter()
                .map(|node| format!("{} ({}, {})", node.id, node.node_type, node.runtime))
                .collect();
            let next = if stage.outputs.is_empty() {
                "output".to_owned()
            } else {
                let numbers: Vec<String> = stage.outputs.iter().map(ToString::to_string).collect();
                format!("stage {}", numbers.join(", "))
            };
            let joined = if stage.join == Join::Zip { "  [zip]" } else { "" };
            let chain = nodes.join(" -> ");
            let _ = writeln!(text, "stage {number}  {place}  {chain}  => {next}{joined}");
        }
        text
    }
}
