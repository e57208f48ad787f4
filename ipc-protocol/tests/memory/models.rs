//! Random walks: an arena, and an orchestrator with several workers that pass values round, write to
//! what they may write, keep, drop and die. What somebody holds never changes under them, and in the
//! end everything is returned.

use ipc_protocol::memory::{Arena, ArenaOptions, Claim, SegmentKind, SharedBytes};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config;

use super::support::*;

/// `PROPTEST_CASES` stretches every walk; 256 is the normal length.
fn config(cases: u32) -> Config {
    let defaults = Config { failure_persistence: None, ..Config::default() };
    let cases = if cfg!(miri) { 3 } else { defaults.cases.saturating_mul(cases) / 256 };
    Config { cases: cases.max(1), ..defaults }
}

fn steps<S: Strategy>(step: S) -> impl Strategy<Value = Vec<S::Value>> {
    prop::collection::vec(step, 1..if cfg!(miri) { 15 } else { 80 })
}

fn sizes() -> impl Strategy<Value = usize> {
    let largest = if cfg!(miri) { 2 * PAGE } else { 100_000 };
    prop_oneof![8 => 1..2 * PAGE, 2 => RING_BLOCK_MAX - 10..RING_BLOCK_MAX + 10, 1 => 1..largest]
}

#[derive(Debug, Clone)]
enum Use {
    Allocate(usize),
    ClaimAgain(usize),
    Release(usize),
}

fn uses() -> impl Strategy<Value = Use> {
    prop_oneof![
        4 => sizes().prop_map(Use::Allocate),
        1 => any::<usize>().prop_map(Use::ClaimAgain),
        3 => any::<usize>().prop_map(Use::Release),
    ]
}

fn walk_arena(kind: SegmentKind, uses: &[Use]) {
    let options = ArenaOptions {
        kind,
        ring_bytes: RING,
        ring_block_max_bytes: RING_BLOCK_MAX,
        max_bytes: 1 << 20,
        idle_max_bytes: 200 << 10,
    };
    let arena = Arena::new(options);
    // The claims, and what is in their blocks. Further claims have the bytes of the first.
    let mut claims: Vec<(Claim, Vec<u8>)> = Vec::new();
    for (seed, step) in (0_u8..).zip(uses) {
        match *step {
            Use::Allocate(bytes) => match arena.allocate(bytes) {
                Ok(mut claim) => {
                    let content = pattern(seed, bytes);
                    assert!(claim.bytes() >= bytes && claim.address() % PAGE == 0);
                    assert!(claim.write(&content));
                    claims.push((claim, content));
                }
                Err(_) => assert!(arena.stats().mapped_bytes > options.max_bytes / 2),
            },
            Use::ClaimAgain(choice) if !claims.is_empty() => {
                let (claim, content) = &claims[choice % claims.len()];
                let (again, offset) = arena.claim_at(claim.address(), content.len()).unwrap();
                assert_eq!((again.address(), offset), (claim.address(), claim.offset()));
                let content = content.clone();
                claims.push((again, content));
            }
            Use::Release(choice) if !claims.is_empty() => {
                claims.swap_remove(choice % claims.len());
            }
            Use::ClaimAgain(_) | Use::Release(_) => {}
        }
        let mut blocks: Vec<_> =
            claims.iter().map(|(claim, _)| (claim.address(), claim.bytes())).collect();
        blocks.sort_unstable();
        blocks.dedup();
        assert!(blocks.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{blocks:?}");
        let stats = arena.stats();
        assert_eq!(stats.used_bytes, blocks.iter().map(|block| block.1).sum::<usize>());
        assert!(stats.mapped_bytes <= options.max_bytes);
        assert!(stats.idle_bytes <= options.idle_max_bytes);
        assert!(stats.mapped_bytes >= stats.idle_bytes + stats.used_bytes);
        for (claim, content) in &claims {
            assert!(peek(claim.address(), content.len()) == *content, "a block has changed");
        }
    }
    claims.clear();
    assert_eq!(arena.stats().used_bytes, 0);
}

#[derive(Debug, Clone)]
enum Move {
    /// The orchestrator sends private memory to a worker.
    Give {
        worker: usize,
        bytes: usize,
    },
    /// A worker makes a result and sends it.
    Make {
        worker: usize,
        bytes: usize,
        keeps: bool,
    },
    /// Whoever holds a value sends it on; the orchestrator to some worker, a worker back.
    Pass {
        value: usize,
        worker: usize,
        keeps: bool,
    },
    /// Whoever holds a value makes a part of it.
    Cut {
        value: usize,
        start: usize,
        bytes: usize,
    },
    /// Whoever holds a value alone, and may, writes to it.
    Write {
        value: usize,
        at: usize,
    },
    Drop {
        value: usize,
    },
    Settle {
        worker: usize,
    },
    /// A worker's process ends without a word, and another takes its place.
    Crash {
        worker: usize,
    },
}

fn moves() -> impl Strategy<Value = Move> {
    let (worker, value) = (0..WORKERS, any::<usize>());
    prop_oneof![
        2 => (worker.clone(), sizes()).prop_map(|(worker, bytes)| Move::Give { worker, bytes }),
        3 => (worker.clone(), sizes(), any::<bool>())
            .prop_map(|(worker, bytes, keeps)| Move::Make { worker, bytes, keeps }),
        6 => (value, worker.clone(), any::<bool>())
            .prop_map(|(value, worker, keeps)| Move::Pass { value, worker, keeps }),
        2 => (value, any::<usize>(), any::<usize>())
            .prop_map(|(value, start, bytes)| Move::Cut { value, start, bytes }),
        4 => (value, any::<usize>()).prop_map(|(value, at)| Move::Write { value, at }),
        4 => value.prop_map(|value| Move::Drop { value }),
        3 => worker.clone().prop_map(|worker| Move::Settle { worker }),
        1 => worker.prop_map(|worker| Move::Crash { worker }),
    ]
}

const WORKERS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Side {
    Orchestrator,
    Worker(usize),
}

/// A value in somebody's hands, with the bytes that it has to have.
struct Held {
    side: Side,
    bytes: SharedBytes,
    expected: Vec<u8>,
}

struct World {
    kind: SegmentKind,
    pairs: Vec<Pair>,
    held: Vec<Held>,
    seed: u8,
}

impl World {
    fn new(kind: SegmentKind) -> Self {
        let pairs = (0..WORKERS).map(|_| Self::pair(kind)).collect();
        Self { kind, pairs, held: Vec::new(), seed: 0 }
    }

    fn pair(kind: SegmentKind) -> Pair {
        let pinned_max_bytes = 50_000;
        Pair::on(ipc_protocol::share::MemoryTerms { pinned_max_bytes, ..terms(kind) })
    }

    fn fresh(&mut self, bytes: usize) -> Vec<u8> {
        self.seed = self.seed.wrapping_add(17);
        pattern(self.seed, bytes)
    }

    /// Sends a value, which has to arrive as it was, and gives it into the receiver's hands.
    fn send(&mut self, from: Side, worker: usize, value: ipc_protocol::Value, expected: Vec<u8>) {
        let Pair { near, far } = &self.pairs[worker];
        let (sender, receiver, side) = match from {
            Side::Orchestrator => (near, far, Side::Worker(worker)),
            Side::Worker(_) => (far, near, Side::Orchestrator),
        };
        let mut sent = place(sender, value, Some("node"));
        let (value, _) = deliver(&mut sent, sender, receiver).unwrap();
        assert!(bytes_of(&value) == expected, "{side:?} does not see what {from:?} sent");
        if let Some(bytes) = shared_of(value) {
            self.held.push(Held { side, bytes, expected });
        }
    }

    fn step(&mut self, step: &Move) {
        let count = self.held.len();
        match *step {
            Move::Give { worker, bytes } => {
                let bytes = self.fresh(bytes);
                self.send(Side::Orchestrator, worker, private(bytes.clone()), bytes);
            }
            Move::Make { worker, bytes, keeps } => {
                let expected = self.fresh(bytes);
                let side = Side::Worker(worker);
                let Ok(mut claim) = self.pairs[worker].far.arena().allocate(bytes) else { return };
                assert!(claim.write(&expected));
                let offset = claim.offset();
                let bytes = SharedBytes::claimed(claim, offset, bytes).unwrap();
                if keeps {
                    let (bytes, expected) = (bytes.clone(), expected.clone());
                    self.held.push(Held { side, bytes, expected });
                }
                self.send(side, worker, lent(bytes), expected);
            }
            Move::Pass { value, worker, keeps } if count > 0 => {
                let Held { side, bytes, expected } = self.held.swap_remove(value % count);
                if keeps {
                    let (bytes, expected) = (bytes.clone(), expected.clone());
                    self.held.push(Held { side, bytes, expected });
                }
                let worker = if let Side::Worker(own) = side { own } else { worker };
                self.send(side, worker, lent(bytes), expected);
            }
            Move::Cut { value, start, bytes } if count > 0 => {
                let Held { side, bytes: whole, expected } = &self.held[value % count];
                let start = start % whole.len();
                let length = 1 + bytes % (whole.len() - start);
                let bytes = whole.part(start, length).unwrap();
                let expected = expected[start..start + length].to_vec();
                let side = *side;
                self.held.push(Held { side, bytes, expected });
            }
            Move::Write { value, at } if count > 0 => {
                let Held { bytes, expected, .. } = &mut self.held[value % count];
                if bytes.is_writable() && bytes.is_sole() {
                    let at = at % bytes.len();
                    expected[at] = expected[at].wrapping_add(100);
                    poke(bytes, at, expected[at]);
                }
            }
            Move::Drop { value } if count > 0 => drop(self.held.swap_remove(value % count)),
            Move::Settle { worker } => self.pairs[worker].settle(),
            Move::Crash { worker } => {
                self.pairs[worker] = Self::pair(self.kind);
                self.held.retain(|held| held.side != Side::Worker(worker));
            }
            Move::Pass { .. } | Move::Cut { .. } | Move::Write { .. } | Move::Drop { .. } => {}
        }
    }

    fn check(&self) {
        for Held { side, bytes, expected } in &self.held {
            assert!(bytes.as_slice() == *expected, "bytes changed under {side:?}");
        }
    }

    fn end(mut self) {
        self.held.clear();
        // What one gives back may be another's.
        for _ in 0..WORKERS {
            self.pairs.iter().for_each(Pair::settle);
        }
        self.pairs.iter().for_each(Pair::assert_quiet);
    }

    /// The orchestrator is gone; what workers hold stays as it is.
    fn end_without_orchestrator(mut self) {
        let fars: Vec<_> =
            std::mem::take(&mut self.pairs).into_iter().map(|pair| pair.far).collect();
        self.held.retain(|held| held.side != Side::Orchestrator);
        self.check();
        self.held.clear();
        drop(fars);
    }
}

fn walk_world(kind: SegmentKind, moves: &[Move], survives: bool) {
    let mut world = World::new(kind);
    for step in moves {
        world.step(step);
        world.check();
    }
    if survives { world.end() } else { world.end_without_orchestrator() }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn an_arena_does_what_its_model_does(kind in select(kinds()), uses in steps(uses())) {
        walk_arena(kind, &uses);
    }
}

proptest! {
    #![proptest_config(config(512))]

    /// spec: CARD-05: whoever passes, keeps, writes, drops or dies, what others hold stays.
    #[test]
    fn nobody_is_disturbed_by_anybody(
        kind in select(kinds()),
        moves in steps(moves()),
        survives in any::<bool>(),
    ) {
        walk_world(kind, &moves, survives);
    }
}
