//! Replicas: each of them is a stage in a worker of its own.

use super::stages::Chain;
use super::{Place, Stage};
use crate::placement::Part;

/// The stages of a plan: those of `chains`, and behind them one for each further replica.
pub(super) fn expand(chains: Vec<Chain>) -> Vec<Stage> {
    let further: Vec<Vec<usize>> = chains.iter().map(|chain| chain.further.clone()).collect();
    let is_ordered: Vec<bool> = chains.iter().map(|chain| chain.is_ordered).collect();
    let mut stages: Vec<Stage> = chains.into_iter().map(|chain| chain.stage).collect();
    for (first, slots) in further.into_iter().enumerate().filter(|(_, slots)| !slots.is_empty()) {
        let numbers = stages.len()..stages.len() + slots.len();
        for slot in slots {
            let replica = Stage {
                place: Place::Worker { slot },
                nodes: stages[first].nodes.clone(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                join: stages[first].join,
                sink: None,
                part: Part::Further { first },
            };
            stages.push(replica);
        }
        let is_ordered = is_ordered[first];
        stages[first].part = Part::First { further: numbers.collect(), is_ordered };
    }
    stages
}
