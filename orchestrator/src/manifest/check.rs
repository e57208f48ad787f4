//! Checks that need more than one part of a manifest: ids and connections, node types and their
//! parameters.

use nodes::ParamProblem;

use super::node::Draft;
use super::problem::{Problem, ProblemKind};
use crate::catalog::{Catalog, ResolveError};
use crate::graph::{GraphProblem, connect, named_cycle};
use crate::model::{Connection, ManifestNode};
use crate::placement::{Engine, NodeSource};

type Problems = Vec<Problem>;

/// Checks node types, parameters, ids, connections and cycles. Each connection comes with its index
/// in the text.
pub(super) fn references(
    drafts: &[Draft],
    connections: &[(usize, Connection)],
    problems: &mut Problems,
) {
    for (index, draft) in drafts.iter().enumerate() {
        if let Some(node) = &draft.node {
            node_type(node, index, problems);
        }
    }
    let ids: Vec<&str> = drafts.iter().map(|draft| draft.id.as_str()).collect();
    let bare: Vec<Connection> = connections.iter().map(|(_, c)| c.clone()).collect();
    let (edges, graph_problems) = connect(&ids, &bare);
    let cycles = edges.topological_order().err().unwrap_or_default();
    let cycles = cycles.iter().map(|cycle| named_cycle(cycle, &ids));
    for mut problem in graph_problems.into_iter().chain(cycles) {
        // Nodes without an id were reported already; an empty id is not a duplicate.
        if !matches!(&problem, GraphProblem::DuplicateId { id, .. } if id.is_empty()) {
            restore_index(&mut problem, connections);
            let path = problem.path();
            problems.push(Problem { path, node_id: None, kind: ProblemKind::Graph(problem) });
        }
    }
    for (index, draft) in drafts.iter().enumerate() {
        if draft.is_output_node && !edges.outputs[index].is_empty() {
            let kind = ProblemKind::Unsupported {
                what: "return the outputs of a node that feeds another one",
                advice: "connect a PassThroughNode to it as a second branch, or leave \
                         is_output_node out",
            };
            let path = format!("nodes[{index}].is_output_node");
            problems.push(Problem { path, node_id: Some(draft.id.clone()), kind });
        }
    }
}

/// Replaces a problem's connection numbers by indices in the text: the graph was built without the
/// connections that could not be read.
fn restore_index(problem: &mut GraphProblem, connections: &[(usize, Connection)]) {
    let in_text = |number: usize| connections.get(number).map_or(number, |(index, _)| *index);
    match problem {
        GraphProblem::UnknownSource { connection, .. }
        | GraphProblem::UnknownTarget { connection, .. } => *connection = in_text(*connection),
        GraphProblem::DuplicateConnection { first, second, .. } => {
            *first = in_text(*first);
            *second = in_text(*second);
        }
        GraphProblem::DuplicateId { .. } | GraphProblem::Cycle { .. } => {}
    }
}

fn node_type(node: &ManifestNode, index: usize, problems: &mut Problems) {
    let mut report = |field: &str, kind: ProblemKind| {
        let path = format!("nodes[{index}].{field}");
        problems.push(Problem { path, node_id: Some(node.id.clone()), kind });
    };
    let catalog = Catalog::builtin();
    let resolved = match catalog.resolve(node, Engine::CPython) {
        Ok(resolved) => resolved,
        Err(problem) => {
            let field = match problem {
                ResolveError::NoNative { .. } | ResolveError::NoPython { .. } => "runtime_hint",
                _ => "node_type",
            };
            return report(field, ProblemKind::NodeType(problem));
        }
    };
    let is_native = resolved.source == NodeSource::Native;
    if let Some(kind) = against_replicas(node, is_native) {
        report("replicas", kind);
    }
    if !is_native {
        if !node.limits.is_empty() && !node.isolated && node.replicas == 1 {
            let kind = ProblemKind::Unsupported {
                what: "limit a node that shares its worker with others",
                advice: "set isolated to true, or limit all workers with [limits] of the configuration",
            };
            report("limits", kind);
        }
        return;
    }
    if !node.limits.is_empty() {
        let kind = ProblemKind::Unsupported {
            what: "limit a native node, which runs in no worker",
            advice: "leave limits out, or set runtime_hint to \"cpython\" and isolated to true",
        };
        report("limits", kind);
    }
    if node.isolated {
        let kind = ProblemKind::Unsupported {
            what: "isolate a native node, which runs in no worker",
            advice: "leave isolated out, or set runtime_hint to \"cpython\"",
        };
        report("isolated", kind);
    }
    if node.pool.is_some() {
        let kind = ProblemKind::Unsupported {
            what: "give a native node, which runs in no worker, a pool",
            advice: "leave pool out, or set runtime_hint to \"cpython\"",
        };
        report("pool", kind);
    }
    if let Some(native) = catalog.native(&node.node_type)
        && let Err(found) = native.check_params(&node.params)
    {
        for problem in found {
            let field = match param_name(&problem) {
                Some(name) => format!("params.{name}"),
                None => "params".to_owned(),
            };
            report(&field, ProblemKind::Param(problem));
        }
    }
}

/// What speaks against the replicas of a node, if it asks for several.
fn against_replicas(node: &ManifestNode, is_native: bool) -> Option<ProblemKind> {
    let (what, advice) = match (is_native, node.is_streaming || node.is_source) {
        (true, _) => (
            "give replicas to a native node, which runs in no worker",
            "leave replicas out, or set runtime_hint to \"cpython\"",
        ),
        (false, true) => {
            ("run a streaming node or a source in several workers", "leave replicas out")
        }
        (false, false) => return None,
    };
    (node.replicas > 1).then_some(ProblemKind::Unsupported { what, advice })
}

fn param_name(problem: &ParamProblem) -> Option<&str> {
    match problem {
        ParamProblem::Unknown { param, .. }
        | ParamProblem::WrongType { param, .. }
        | ParamProblem::OutOfRange { param, .. }
        | ParamProblem::NotAChoice { param, .. } => Some(param),
        ParamProblem::GivenTwice { second, .. } => Some(second),
        ParamProblem::Exclusive { .. } | ParamProblem::Undeclared { .. } => None,
    }
}
