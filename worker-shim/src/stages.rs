//! The node numbers of each stage of a session. A guest needs them to report costs and failures per
//! node.

use std::ops::Range;

use ipc_protocol::to_worker::{OpenSession, StageSpec};

#[cfg(test)]
mod tests;

/// The stages of a session that one worker runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stages {
    /// For each stage its number and the numbers of its nodes.
    stages: Vec<(u32, Range<usize>)>,
}

impl Stages {
    /// The stages of a session; its nodes are numbered from 0 in the order of the message.
    #[must_use]
    pub fn of(session: &OpenSession) -> Self {
        let mut first = 0;
        let numbered = |stage: &StageSpec| {
            let next = first + stage.nodes.len();
            let nodes = first..next;
            first = next;
            (stage.stage, nodes)
        };
        Self { stages: session.stages.iter().map(numbered).collect() }
    }

    /// The numbers of a stage's nodes; an empty range if the session has no such stage.
    #[must_use]
    pub fn nodes_of(&self, stage: u32) -> Range<usize> {
        let found = self.stages.iter().find(|(number, _)| *number == stage);
        found.map_or(0..0, |(_, nodes)| nodes.clone())
    }

    /// Number of nodes in all stages together.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.stages.last().map_or(0, |(_, nodes)| nodes.end)
    }
}
