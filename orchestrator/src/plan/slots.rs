//! Assigns worker slots to Python stages.
//!
//! Stages of one slot are all ancestors and descendants of one another, so that branches which can
//! run side by side do. Where that needs more workers than there may be, slots are folded.

use super::stages::Chain;
use super::{Place, PlanError, Runtime};

struct Slot {
    runtime: Runtime,
    isolated: bool,
    last: usize,
}

/// Gives every Python stage its place and returns the number of slots.
pub(super) fn assign(chains: &mut [Chain], max_workers: usize) -> Result<usize, PlanError> {
    let ancestors = Ancestors::new(chains);
    let mut slots: Vec<Slot> = Vec::new();
    let mut slot_of: Vec<Option<usize>> = vec![None; chains.len()];
    for (stage, chain) in chains.iter().enumerate() {
        if chain.runtime == Runtime::Native {
            continue;
        }
        let free = slots.iter().enumerate().filter(|(_, slot)| {
            !chain.isolated
                && !slot.isolated
                && slot.runtime == chain.runtime
                && ancestors.contains(stage, slot.last)
        });
        // The nearest ancestor's worker: its caches still hold what it just computed.
        let slot = free.max_by_key(|(_, slot)| slot.last).map(|(number, _)| number);
        let number = slot.unwrap_or(slots.len());
        match slots.get_mut(number) {
            Some(slot) => slot.last = stage,
            None => {
                slots.push(Slot { runtime: chain.runtime, isolated: chain.isolated, last: stage })
            }
        }
        slot_of[stage] = Some(number);
    }
    let (folded, count) = fold(&slots, max_workers).ok_or_else(|| PlanError::TooFewWorkers {
        isolated: isolated_ids(chains),
        shared: slots.iter().any(|slot| !slot.isolated),
        max_workers,
    })?;
    for (chain, slot) in chains.iter_mut().zip(slot_of) {
        if let Some(slot) = slot {
            chain.stage.place = Place::Worker { slot: folded[slot] };
        }
    }
    Ok(count)
}

/// New numbers for the slots so that there are at most `max_workers`, and how many there are.
/// Slots of one runtime are folded onto each other in turn; isolated ones stay alone. `None` when
/// even that is too many.
fn fold(slots: &[Slot], max_workers: usize) -> Option<(Vec<usize>, usize)> {
    if slots.len() <= max_workers {
        return Some(((0..slots.len()).collect(), slots.len()));
    }
    let isolated = slots.iter().filter(|slot| slot.isolated).count();
    let mut runtimes: Vec<(Runtime, usize)> = Vec::new();
    for slot in slots.iter().filter(|slot| !slot.isolated) {
        match runtimes.iter_mut().find(|(runtime, _)| *runtime == slot.runtime) {
            Some((_, count)) => *count += 1,
            None => runtimes.push((slot.runtime, 1)),
        }
    }
    let mut left = max_workers.checked_sub(isolated)?.checked_sub(runtimes.len())?;
    // One worker for each runtime, the others to the runtime that wants most.
    let mut shares: Vec<usize> = vec![1; runtimes.len()];
    while left > 0 {
        let neediest = (0..shares.len())
            .filter(|&at| shares[at] < runtimes[at].1)
            .max_by_key(|&at| runtimes[at].1 - shares[at]);
        let Some(at) = neediest else { break };
        shares[at] += 1;
        left -= 1;
    }
    let mut numbers = Numbers { next: 0, shared: vec![Vec::new(); runtimes.len()] };
    let mut turns = vec![0; runtimes.len()];
    let folded = slots
        .iter()
        .map(|slot| {
            let at = runtimes.iter().position(|(runtime, _)| *runtime == slot.runtime);
            match at.filter(|_| !slot.isolated) {
                None => numbers.fresh(),
                Some(at) => {
                    let turn = turns[at] % shares[at];
                    turns[at] += 1;
                    numbers.shared(at, turn)
                }
            }
        })
        .collect();
    Some((folded, numbers.next))
}

/// Hands out consecutive slot numbers.
struct Numbers {
    next: usize,
    shared: Vec<Vec<usize>>,
}

impl Numbers {
    fn fresh(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// The number of the `turn`-th worker of a runtime, a fresh one the first time.
    fn shared(&mut self, runtime: usize, turn: usize) -> usize {
        if self.shared[runtime].len() == turn {
            let number = self.fresh();
            self.shared[runtime].push(number);
        }
        self.shared[runtime][turn]
    }
}

fn isolated_ids(chains: &[Chain]) -> Vec<String> {
    let isolated = chains.iter().filter(|chain| chain.isolated);
    isolated.flat_map(|chain| chain.stage.nodes.iter().map(|node| node.id.clone())).collect()
}

/// Which stages come before which, directly or not: one row of bits for each stage.
struct Ancestors {
    words: usize,
    bits: Vec<u64>,
}

impl Ancestors {
    fn new(chains: &[Chain]) -> Self {
        let words = chains.len().div_ceil(64);
        let mut all = Self { words, bits: vec![0; words * chains.len()] };
        for (stage, chain) in chains.iter().enumerate() {
            for &input in &chain.stage.inputs {
                // Inputs come first in topological order, so their rows are complete.
                for word in 0..words {
                    let inherited = all.bits[input * words + word];
                    all.bits[stage * words + word] |= inherited;
                }
                all.bits[stage * words + input / 64] |= 1 << (input % 64);
            }
        }
        all
    }

    fn contains(&self, stage: usize, ancestor: usize) -> bool {
        self.bits[stage * self.words + ancestor / 64] & (1 << (ancestor % 64)) != 0
    }
}
