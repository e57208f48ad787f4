//! The graph of a pipeline: nodes in topological order, their neighbours, and problems of a graph.
//! Pure: no clock, no I/O, nothing asynchronous.
//!
//! A manifest without connections is a set of independent nodes: each gets the pipeline's input,
//! and the output of each is an output of the pipeline.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::model::{Connection, Manifest, ManifestNode};

#[cfg(test)]
mod tests;

/// A pipeline as a graph without cycles.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    nodes: Vec<ManifestNode>,
    edges: Edges,
    order: Vec<usize>,
}

/// Neighbours of every node by index, in the order of the connections.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Edges {
    pub(crate) inputs: Vec<Vec<usize>>,
    pub(crate) outputs: Vec<Vec<usize>>,
}

/// One problem of a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphProblem {
    /// Two nodes have the same id.
    #[error("Duplicate node ID '{id}': nodes[{first}] has it already; give each node its own")]
    DuplicateId {
        /// The id.
        id: String,
        /// Index of the node that had it first.
        first: usize,
        /// Index of the node that repeats it.
        second: usize,
    },
    /// A connection begins at a node that does not exist.
    #[error("unknown source node '{id}'{}", did_you_mean(.nearest.as_deref()))]
    UnknownSource {
        /// Index of the connection.
        connection: usize,
        /// The id as written.
        id: String,
        /// The most similar id.
        nearest: Option<String>,
    },
    /// A connection ends at a node that does not exist.
    #[error("unknown target node '{id}'{}", did_you_mean(.nearest.as_deref()))]
    UnknownTarget {
        /// Index of the connection.
        connection: usize,
        /// The id as written.
        id: String,
        /// The most similar id.
        nearest: Option<String>,
    },
    /// The same two nodes are connected twice.
    #[error("'{from}' -> '{to}' is connected already by connections[{first}]; remove one of them")]
    DuplicateConnection {
        /// Id of the source.
        from: String,
        /// Id of the target.
        to: String,
        /// Index of the connection that came first.
        first: usize,
        /// Index of the connection that repeats it.
        second: usize,
    },
    /// Connections form a cycle.
    #[error(
        "the graph has a cycle: {}; remove one of these connections",
        .nodes.join(" -> ")
    )]
    Cycle {
        /// Ids in the order in which data would flow; the first id is repeated at the end.
        nodes: Vec<String>,
    },
}

impl GraphProblem {
    /// Place of the problem in the manifest.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::DuplicateId { second, .. } => format!("nodes[{second}].id"),
            Self::UnknownSource { connection, .. } => format!("connections[{connection}].from"),
            Self::UnknownTarget { connection, .. } => format!("connections[{connection}].to"),
            Self::DuplicateConnection { second, .. } => format!("connections[{second}]"),
            Self::Cycle { .. } => "connections".to_owned(),
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest
        .map_or_else(|| "; no node has this id".to_owned(), |id| format!(", did you mean '{id}'?"))
}

/// A graph that cannot be built, with all of its problems.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct GraphError {
    /// Every problem; never empty.
    pub problems: Vec<GraphProblem>,
}

impl Graph {
    /// Builds the graph of a manifest.
    ///
    /// # Errors
    /// All problems of ids and connections, and all cycles. A manifest from [`Manifest::parse`] has
    /// none.
    pub fn new(manifest: &Manifest) -> Result<Self, GraphError> {
        let ids: Vec<&str> = manifest.nodes.iter().map(|node| node.id.as_str()).collect();
        let (edges, mut problems) = connect(&ids, &manifest.connections);
        let order = match edges.topological_order() {
            Ok(order) => order,
            Err(cycles) => {
                problems.extend(cycles.iter().map(|cycle| named_cycle(cycle, &ids)));
                Vec::new()
            }
        };
        if problems.is_empty() {
            Ok(Self { nodes: manifest.nodes.clone(), edges, order })
        } else {
            Err(GraphError { problems })
        }
    }

    /// The nodes, in the order of the manifest.
    #[must_use]
    pub fn nodes(&self) -> &[ManifestNode] {
        &self.nodes
    }

    /// Indices of the nodes in topological order; where that leaves a choice, in the order of the
    /// manifest.
    #[must_use]
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Upstream nodes of a node, in the order of the connections.
    #[must_use]
    pub fn inputs(&self, node: usize) -> &[usize] {
        self.edges.inputs.get(node).map_or(&[], Vec::as_slice)
    }

    /// Downstream nodes of a node, in the order of the connections.
    #[must_use]
    pub fn outputs(&self, node: usize) -> &[usize] {
        self.edges.outputs.get(node).map_or(&[], Vec::as_slice)
    }

    /// Nodes without upstream nodes, in the order of the manifest.
    pub fn roots(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|node| self.inputs(*node).is_empty())
    }

    /// Nodes without downstream nodes, in the order of the manifest.
    pub fn sinks(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|node| self.outputs(*node).is_empty())
    }
}

/// Resolves connections to indices. Connections with problems are left out of the edges.
pub(crate) fn connect(ids: &[&str], connections: &[Connection]) -> (Edges, Vec<GraphProblem>) {
    let mut problems = Vec::new();
    let mut index: HashMap<&str, usize> = HashMap::with_capacity(ids.len());
    for (second, id) in ids.iter().enumerate() {
        match index.get(id) {
            Some(&first) => {
                problems.push(GraphProblem::DuplicateId { id: (*id).to_owned(), first, second });
            }
            None => {
                index.insert(id, second);
            }
        }
    }
    let mut edges =
        Edges { inputs: vec![Vec::new(); ids.len()], outputs: vec![Vec::new(); ids.len()] };
    let mut seen: HashMap<(usize, usize), usize> = HashMap::with_capacity(connections.len());
    for (number, connection) in connections.iter().enumerate() {
        let nearest =
            |id: &str| nodes::suggest::nearest(id, ids.iter().copied()).map(str::to_owned);
        let (from, to) = (index.get(connection.from.as_str()), index.get(connection.to.as_str()));
        if from.is_none() {
            let id = connection.from.clone();
            let nearest = nearest(&id);
            problems.push(GraphProblem::UnknownSource { connection: number, id, nearest });
        }
        if to.is_none() {
            let id = connection.to.clone();
            let nearest = nearest(&id);
            problems.push(GraphProblem::UnknownTarget { connection: number, id, nearest });
        }
        let (Some(&from), Some(&to)) = (from, to) else { continue };
        if let Some(&first) = seen.get(&(from, to)) {
            problems.push(GraphProblem::DuplicateConnection {
                from: connection.from.clone(),
                to: connection.to.clone(),
                first,
                second: number,
            });
            continue;
        }
        seen.insert((from, to), number);
        edges.outputs[from].push(to);
        edges.inputs[to].push(from);
    }
    (edges, problems)
}

/// Makes a problem with node ids from a cycle of indices.
pub(crate) fn named_cycle(cycle: &[usize], ids: &[&str]) -> GraphProblem {
    let closed = cycle.iter().chain(cycle.first());
    GraphProblem::Cycle { nodes: closed.map(|&node| ids[node].to_owned()).collect() }
}

impl Edges {
    /// Topological order by Kahn's algorithm, smallest index first. The error lists cycles that
    /// prevent an order: no two share a node, and each begins at its smallest index.
    pub(crate) fn topological_order(&self) -> Result<Vec<usize>, Vec<Vec<usize>>> {
        let mut waiting: Vec<usize> = self.inputs.iter().map(Vec::len).collect();
        let mut ready: BinaryHeap<Reverse<usize>> =
            (0..waiting.len()).filter(|&node| waiting[node] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for &next in &self.outputs[node] {
                waiting[next] -= 1;
                if waiting[next] == 0 {
                    ready.push(Reverse(next));
                }
            }
        }
        if order.len() == waiting.len() { Ok(order) } else { Err(self.cycles(&order)) }
    }

    /// Walks upstream from every node that never became ready until a node repeats. Such a node
    /// always has an upstream node that never became ready either, so the walk ends in a cycle.
    fn cycles(&self, ordered: &[usize]) -> Vec<Vec<usize>> {
        let ordered: HashSet<usize> = ordered.iter().copied().collect();
        let mut visited = HashSet::new();
        let mut cycles = Vec::new();
        for start in (0..self.inputs.len()).filter(|node| !ordered.contains(node)) {
            let mut path: Vec<usize> = Vec::new();
            let mut place: HashMap<usize, usize> = HashMap::new();
            let mut node = start;
            while visited.insert(node) {
                place.insert(node, path.len());
                path.push(node);
                match self.inputs[node].iter().find(|from| !ordered.contains(from)) {
                    Some(&from) => node = from,
                    None => break,
                }
            }
            if let Some(&begin) = place.get(&node) {
                let mut cycle = path.split_off(begin);
                cycle.reverse();
                let smallest = (0..cycle.len()).min_by_key(|&at| cycle[at]).unwrap_or(0);
                cycle.rotate_left(smallest);
                cycles.push(cycle);
            }
        }
        cycles
    }
}
