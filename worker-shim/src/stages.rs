//! Which nodes of a session are in which stage, by their number in the session: what a guest needs
//! to tell costs and failures node by node.

use std::ops::Range;

use ipc_protocol::to_worker::{OpenSession, StageSpec};

#[cfg(test)]
mod tests;

/// The stages of a session that one worker runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stages {
    /// Per stage its number and those of its nodes.
    stages: Vec<(u32, Range<usize>)>,
}

impl Stages {
    /// Those of a session that is to be opened.
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

    /// The nodes of the stage with this number; none if there is no such stage.
    #[must_use]
    pub fn nodes_of(&self, stage: u32) -> Range<usize> {
        let found = self.stages.iter().find(|(number, _)| *number == stage);
        found.map_or(0..0, |(_, nodes)| nodes.clone())
    }

    /// How many nodes all stages have.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.stages.last().map_or(0, |(_, nodes)| nodes.end)
    }
}
