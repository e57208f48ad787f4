//! Sessions at random, in virtual time: graphs, crashes, slow opens, hangs, time-outs, dying workers,
//! ends at any moment. One seed is one session.
//!
//! `SIMULATION_SEED=7 cargo test -p orchestrator simulation` runs one again and tells its story;
//! `SIMULATION_SEEDS=1000000` runs more of them.

mod dice;
mod graph;
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
    if let Some(seed) = variable("SIMULATION_SEED") {
        return World::new(Dice::new(seed), true).run();
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
                    let run = AssertUnwindSafe(|| World::new(Dice::new(seed), false).run());
                    if catch_unwind(run).is_err() {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                        panic!("run it again with SIMULATION_SEED={seed}");
                    }
                }
            });
        }
    });
}
