//! Sessions at random, in virtual time: graphs, crashes, slow opens, hangs, time-outs, dying workers,
//! ends at any moment. One seed is one session.
//!
//! `SIMULATION_SEED=7 cargo test -p orchestrator simulation` runs one again and tells its story;
//! `SIMULATION_SEEDS=1000000` runs more of them.

pub(super) mod dice;
mod graph;
mod twin;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use dice::Dice;
use world::World;

const SEEDS: u64 = 100_000;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Whatever the graph and whatever fails: every round ends once and in order, nothing overtakes on
/// an edge, no deadline passes unnoticed, no worker is kept, and it always ends.
#[test]
fn sessions_end_well_whatever_happens() {
    simulate(|seed, tells| World::new(Dice::new(seed), tells).run());
}

/// spec: CARD-08: workers of nodes that save their state die at any moment, and the caller gets the same
/// outputs in the same order as if none had.
#[test]
fn nothing_is_lost_and_nothing_comes_twice_where_state_is_saved() {
    simulate(twin::run);
}

/// Runs one seed after another, on all processors.
fn simulate(run: impl Fn(u64, bool) + Sync) {
    if let Some(seed) = variable("SIMULATION_SEED") {
        return run(seed, true);
    }
    let seeds = variable("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    if catch_unwind(AssertUnwindSafe(|| run(seed, false))).is_err() {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                        panic!("run it again with SIMULATION_SEED={seed}");
                    }
                }
            });
        }
    });
}
