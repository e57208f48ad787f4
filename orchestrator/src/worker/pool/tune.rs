//! What operators change while the pools run: bounds, recycling, draining.

use std::time::Instant;

use super::requests::Want;
use super::{Ending, PoolAction, PoolCore, PoolId, PoolLimits, Shelf};

/// Queues a request, unless a pool that it needs takes no new sessions.
pub(super) fn ask(core: &mut PoolCore, want: Want, actions: &mut Vec<PoolAction>) {
    let is_drained = |pool: &PoolId| core.shelves[*pool].is_drained;
    let drained = want.needs.iter().map(|need| need.key.pool).find(is_drained);
    if let Some(pool) = drained.filter(|_| want.turn.is_new() && !core.closed) {
        return actions.push(PoolAction::Drained(want.ticket, pool));
    }
    for need in &want.needs {
        let is_parked = core.zygotes.has_ready(need.key);
        let shelf = &mut core.shelves[need.key.pool];
        shelf.last_key = Some(need.key);
        shelf.tally.count(*need, &core.workers, is_parked);
    }
    core.requests.add(want);
}

/// Takes new bounds over. Idle workers above them end at once, others when their sessions end.
pub(super) fn configure(
    core: &mut PoolCore,
    now: Instant,
    pools: Vec<PoolLimits>,
    actions: &mut Vec<PoolAction>,
) {
    for (pool, limits) in pools.into_iter().enumerate() {
        match core.shelves.get_mut(pool) {
            Some(shelf) => shelf.limits = limits,
            None => core.shelves.push(Shelf::new(limits)),
        }
        if !limits.zygotes {
            core.zygotes.end_of(pool, actions);
        }
        let surplus = core.workers.staying(pool).saturating_sub(limits.max);
        for (_, worker) in core.workers.idle(pool).into_iter().take(surplus) {
            core.retire(now, worker, Ending::Size, actions);
        }
    }
}

/// Ends the idle workers of a pool, and the others when their sessions end.
pub(super) fn recycle(
    core: &mut PoolCore,
    now: Instant,
    pool: PoolId,
    actions: &mut Vec<PoolAction>,
) {
    core.shelves[pool].epoch += 1;
    core.zygotes.end_of(pool, actions);
    for (_, worker) in core.workers.idle(pool) {
        core.retire(now, worker, Ending::Recycled, actions);
    }
}
