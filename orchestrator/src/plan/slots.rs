//! Assigns worker slots to Python stages.
//!
//! Stages share a slot only if one comes after the other in the graph, so that branches that can
//! run in parallel do. If that needs more workers than the pool may have, slots are merged
//! ("folded").

use super::stages::Chain;
use super::{Place, PlanError, PlanOptions, PlanPool};
use crate::placement::PoolId;

struct Slot {
    pool: PoolId,
    isolated: bool,
    last: usize,
}

/// Gives every Python stage its place and returns the number of slots.
pub(super) fn assign(chains: &mut [Chain], options: &PlanOptions) -> Result<usize, PlanError> {
    let ancestors = Ancestors::new(chains);
    let mut slots: Vec<Slot> = Vec::new();
    let mut slot_of: Vec<Option<usize>> = vec![None; chains.len()];
    let mut further: Vec<Vec<usize>> = vec![Vec::new(); chains.len()];
    for (stage, chain) in chains.iter().enumerate() {
        let Some(pool) = chain.pool else { continue };
        let free = slots.iter().enumerate().filter(|(_, slot)| {
            !chain.isolated
                && !slot.isolated
                && slot.pool == pool
                && ancestors.contains(stage, slot.last)
        });
        // The slot of the nearest ancestor: its worker's caches still hold what that computed.
        let slot = free.max_by_key(|(_, slot)| slot.last).map(|(number, _)| number);
        let number = slot.unwrap_or(slots.len());
        match slots.get_mut(number) {
            Some(slot) => slot.last = stage,
            None => slots.push(Slot { pool, isolated: chain.isolated, last: stage }),
        }
        slot_of[stage] = Some(number);
        for _ in 1..chain.replicas() {
            further[stage].push(slots.len());
            slots.push(Slot { pool, isolated: true, last: stage });
        }
    }
    let mut numbers = Numbers { next: 0, of: vec![0; slots.len()] };
    for (number, pool) in options.pools.iter().enumerate() {
        if !fold(&slots, number, pool.max_workers, &mut numbers) {
            return Err(too_few(chains, &slots, number, pool));
        }
    }
    let count = numbers.next;
    let folded = numbers.in_order();
    for (chain, (slot, further)) in chains.iter_mut().zip(slot_of.into_iter().zip(further)) {
        if let Some(slot) = slot {
            chain.stage.place = Place::Worker { slot: folded[slot] };
        }
        chain.further = further.into_iter().map(|slot| folded[slot]).collect();
    }
    Ok(count)
}

/// Numbers the slots of a pool with at most `max_workers` numbers. Slots beyond that share the
/// numbers of the first ones in turn, but never that of an isolated slot. False when there are too
/// few numbers for the isolated slots and, if there are other slots, one for these.
fn fold(slots: &[Slot], pool: PoolId, max_workers: usize, numbers: &mut Numbers) -> bool {
    let ours = || slots.iter().enumerate().filter(|(_, slot)| slot.pool == pool);
    let isolated = ours().filter(|(_, slot)| slot.isolated).count();
    let shared = ours().count() - isolated;
    let Some(left) = max_workers.checked_sub(isolated) else { return false };
    if shared > 0 && left == 0 {
        return false;
    }
    let mut firsts: Vec<usize> = Vec::new();
    let mut turn = 0;
    for (at, slot) in ours() {
        if slot.isolated || firsts.len() < left {
            numbers.of[at] = numbers.fresh();
            if !slot.isolated {
                firsts.push(numbers.of[at]);
            }
        } else {
            numbers.of[at] = firsts[turn % firsts.len()];
            turn += 1;
        }
    }
    true
}

/// The numbers given to slots.
struct Numbers {
    next: usize,
    of: Vec<usize>,
}

impl Numbers {
    fn fresh(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// The same numbering, renumbered in the order of the slots.
    fn in_order(self) -> Vec<usize> {
        let mut order: Vec<usize> = Vec::new();
        let mut place = |number: usize| {
            order.iter().position(|known| *known == number).unwrap_or_else(|| {
                order.push(number);
                order.len() - 1
            })
        };
        self.of.iter().map(|number| place(*number)).collect()
    }
}

/// Why the workers of a pool do not suffice.
fn too_few(chains: &[Chain], slots: &[Slot], number: PoolId, pool: &PlanPool) -> PlanError {
    let here = || slots.iter().filter(|slot| slot.pool == number);
    let shared = here().any(|slot| !slot.isolated);
    let (section, max_workers) = (pool.section.clone(), pool.max_workers);
    let chains_here = || chains.iter().filter(|chain| chain.pool == Some(number));
    let most = chains_here().max_by_key(|chain| chain.replicas());
    let node = most.filter(|chain| chain.replicas() > 1).and_then(|most| most.stage.nodes.first());
    if let Some(node) = node {
        let (node_id, replicas) = (node.id.clone(), node.replicas);
        let isolated = here().filter(|slot| slot.isolated).count();
        let others = isolated - replicas + usize::from(shared);
        return PlanError::TooManyReplicas { node_id, replicas, section, max_workers, others };
    }
    let isolated = isolated_ids(chains, number);
    PlanError::TooFewWorkers { section, isolated, shared, max_workers }
}

fn isolated_ids(chains: &[Chain], pool: PoolId) -> Vec<String> {
    let isolated = chains.iter().filter(|chain| chain.isolated && chain.pool == Some(pool));
    isolated.flat_map(|chain| chain.stage.nodes.iter().map(|node| node.id.clone())).collect()
}

/// All ancestors of each stage, direct or not, as one row of bits per stage.
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
