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
use crate::placement::{Engine, NodeSource, Origin, Part, PoolId, PoolOrigin};
use crate::reason::Reason;

mod pools;
mod replicas;
mod slots;
mod stages;
#[cfg(test)]
mod tests;

pub use pools::{Unmatched, unmatched};

/// How a graph is laid out on native code and worker slots.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Stages in topological order, then those of further replicas; the index is the stage's number.
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
    /// How it shares the items of its node with replicas. Of several, only the first has edges.
    pub part: Part,
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
    /// Longest time from the start or latest output of a call to its next output or its end;
    /// `None`: no limit.
    pub timeout: Option<Duration>,
    /// The same as far as the node says it itself.
    pub own_timeout: Option<Duration>,
    /// Limits of its worker that differ from the configuration; only where it is isolated.
    pub limits: Vec<(Limit, u64)>,
    /// What happens when it fails.
    pub failing: FailingPlan,
    /// The engine that runs it.
    pub runtime: Engine,
    /// The setting that chose the engine.
    pub origin: Origin,
    /// The pool of its worker; without meaning for a native node.
    pub pool: PoolId,
    /// Who chose the pool; `None` when it is that of its engine.
    pub pool_origin: Option<PoolOrigin>,
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
    /// Number of workers that run it side by side.
    pub replicas: usize,
}

/// A pool of workers as far as plans depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanPool {
    /// Its name.
    pub name: String,
    /// The section that sets its size, for messages.
    pub section: String,
    /// What its workers run.
    pub engine: Engine,
    /// Most of its workers that one session may hold; at least 1.
    pub max_workers: usize,
    /// Time limit of nodes that have none of their own.
    pub default_timeout: Option<Duration>,
    /// The patterns of nodes that it claims.
    pub patterns: Vec<String>,
    /// Whether it takes no nodes any more.
    pub is_removed: bool,
}

impl PlanPool {
    /// The pool of an engine for nodes that no other pool has.
    #[must_use]
    pub fn of_engine(engine: Engine, max_workers: usize) -> Self {
        Self {
            name: engine.name().to_owned(),
            section: String::new(),
            engine,
            max_workers,
            default_timeout: None,
            patterns: Vec::new(),
            is_removed: false,
        }
    }
}

/// What a plan depends on besides the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanOptions {
    /// The pools by their numbers; those of the two interpreters come first.
    pub pools: Vec<PlanPool>,
    /// The pool of nodes that ask for none.
    pub pipeline_pool: Option<String>,
    /// Interpreter of Python nodes whose hint names none.
    pub python: Choice,
    /// Whether nodes that RustPython cannot run move to CPython.
    pub fallback: bool,
    /// What is known about how nodes run on RustPython, by their ids.
    pub findings: HashMap<String, Finding>,
    /// Time limit of native nodes that have none of their own.
    pub default_timeout: Option<Duration>,
    /// What happens when nodes fail, as far as they leave it open.
    pub failing: FailingDefaults,
    /// Whether the plan is for one run and not for a session that stays open.
    pub is_run: bool,
}

impl Default for PlanOptions {
    fn default() -> Self {
        let pools = [Engine::CPython, Engine::RustPython];
        Self {
            pools: pools.map(|engine| PlanPool::of_engine(engine, 4)).into(),
            pipeline_pool: None,
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
    /// A node is not implemented for the engine that it asks for.
    #[error("node '{node_id}': {problem}")]
    Unresolved {
        /// Id of the node.
        node_id: String,
        /// Why its type has no code there.
        problem: ResolveError,
    },
    /// Isolated nodes need more workers than the pool may have.
    #[error(
        "{} isolated node(s) ({}) {}need a worker each, and {section} max allows {max_workers}; \
         raise it or isolate fewer nodes",
        .isolated.len(), .isolated.join(", "),
        if *.shared { "and the other Python nodes " } else { "" }
    )]
    TooFewWorkers {
        /// The section that sets the size of the pool.
        section: String,
        /// Ids of the isolated nodes.
        isolated: Vec<String>,
        /// Whether Python nodes that are not isolated need one more worker.
        shared: bool,
        /// Most workers that the pool may have.
        max_workers: usize,
    },
    /// A node has more replicas than its pool can give workers.
    #[error(
        "node '{node_id}': each of its {replicas} replicas needs a worker, and {section} max allows \
         {max_workers}{}; raise it or ask for fewer replicas",
        match .others { 0 => String::new(), others => format!(", of which other nodes need {others}") }
    )]
    TooManyReplicas {
        /// Id of the node.
        node_id: String,
        /// How many it asks for.
        replicas: usize,
        /// The section that sets the size of the pool.
        section: String,
        /// Most workers that the pool may have.
        max_workers: usize,
        /// Workers that other nodes need at least.
        others: usize,
    },
    /// A node cannot have replicas.
    #[error(
        "node '{node_id}' has replicas and {reason}: leave replicas out, or use nodes that keep nothing from \
         one item to the next"
    )]
    NoReplicas {
        /// Id of the node.
        node_id: String,
        /// What speaks against it.
        reason: &'static str,
    },
    /// No pool has the name that a node or its pipeline asks for.
    #[error(
        "node '{node_id}': there is no pool '{name}'{}; a section [pools.{name}] of the configuration makes one",
        match .nearest {
            Some(nearest) => format!(", did you mean '{nearest}'?"),
            None => format!(" among {}", .known.join(", ")),
        }
    )]
    UnknownPool {
        /// Id of the node.
        node_id: String,
        /// The name as written.
        name: String,
        /// The most similar known name.
        nearest: Option<String>,
        /// All known names.
        known: Vec<String>,
    },
    /// Patterns of equal weight in two pools mean the same node.
    #[error(
        "node '{node_id}': pools '{}' and '{}' both claim it in their `nodes`; make one pattern longer",
        .pools[0], .pools[1]
    )]
    TwoPools {
        /// Id of the node.
        node_id: String,
        /// Names of the pools.
        pools: [String; 2],
    },
    /// A node asks for one engine and for a pool with another one.
    #[error(
        "node '{node_id}': its runtime_hint asks for {hint}, and pool '{pool}' runs {engine}; leave one of \
         them out"
    )]
    HintAgainstPool {
        /// Id of the node.
        node_id: String,
        /// The engine that it asks for.
        hint: Engine,
        /// Name of the pool.
        pool: String,
        /// What the pool runs.
        engine: Engine,
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
        Ok(Self { stages: replicas::expand(chains), worker_slots })
    }

    /// All nodes with the number of their stage, stage by stage. Metrics list the nodes in this
    /// order.
    pub fn nodes(&self) -> impl Iterator<Item = (usize, &PlannedNode)> {
        self.stages_of_nodes()
            .flat_map(|(stage, of)| of.nodes.iter().map(move |node| (stage, node)))
    }

    /// The stages that have nodes of their own: of replicas, the first.
    fn stages_of_nodes(&self) -> impl Iterator<Item = (usize, &Stage)> {
        let is_first = |(_, of): &(usize, &Stage)| !matches!(of.part, Part::Further { .. });
        self.stages.iter().enumerate().filter(is_first)
    }

    /// The stages that get the inputs of a session.
    pub fn roots(&self) -> impl Iterator<Item = (usize, &Stage)> {
        self.stages_of_nodes().filter(|(_, stage)| stage.inputs.is_empty())
    }

    /// Which replica of its node a stage is, from 0, and the stage of the first.
    #[must_use]
    pub fn replica(&self, stage: usize) -> (usize, usize) {
        let first = self.first_of(stage);
        let at = self.replicas_of(first).iter().position(|other| *other == stage);
        (at.unwrap_or_default(), first)
    }

    /// The stage that stands for a stage in messages and metrics: of replicas, the first.
    #[must_use]
    pub fn first_of(&self, stage: usize) -> usize {
        match self.stages[stage].part {
            Part::Further { first } => first,
            Part::Whole | Part::First { .. } => stage,
        }
    }

    /// The stages of a stage's replicas, the first included; itself alone where there are none.
    #[must_use]
    pub fn replicas_of(&self, stage: usize) -> Vec<usize> {
        match &self.stages[stage].part {
            Part::First { further, .. } => [stage].iter().chain(further).copied().collect(),
            Part::Whole | Part::Further { .. } => vec![stage],
        }
    }

    /// The worker slots of a stage with its replicas; none if it is native.
    #[must_use]
    pub fn slots_of(&self, stage: usize) -> Vec<usize> {
        let slot = |stage: &usize| match self.stages[*stage].place {
            Place::Native => None,
            Place::Worker { slot } => Some(slot),
        };
        self.replicas_of(stage).iter().filter_map(slot).collect()
    }

    /// The plan as text, one line per stage: where it runs, its nodes, and the stages behind it.
    #[must_use]
    pub fn describe(&self) -> String {
        let count = self.stages_of_nodes().count();
        let mut text = format!("{count} stages, {} workers\n", self.worker_slots);
        for (number, stage) in self.stages_of_nodes() {
            let place = match self.slots_of(number)[..] {
                [] => "native  ".to_owned(),
                [slot] => format!("worker {slot}"),
                [slot, ref others @ ..] => format!("worker {slot} and {} more", others.len()),
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
