//! The allocator against a model that looks at every page: no overlap, nothing lost, and no refusal
//! while there is room.

use ipc_protocol::memory::Ring;
use proptest::prelude::*;
use proptest::test_runner::Config;

#[derive(Debug, Clone)]
enum Step {
    Allocate(usize),
    Claim(usize),
    Release(usize),
}

fn steps(largest: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..largest).prop_map(Step::Allocate),
        1 => any::<usize>().prop_map(Step::Claim),
        5 => any::<usize>().prop_map(Step::Release),
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 40 } else { 200 })
}

/// `PROPTEST_CASES` stretches every walk; 256 is the normal length.
fn config(cases: u32) -> Config {
    let defaults = Config { failure_persistence: None, ..Config::default() };
    let cases = if cfg!(miri) { 3 } else { defaults.cases.saturating_mul(cases) / 256 };
    Config { cases: cases.max(1), ..defaults }
}

/// A block as the model knows it.
#[derive(Debug)]
struct Block {
    offset: usize,
    bytes: usize,
    claims: u32,
}

/// The largest run of free bytes from `from` on.
fn largest_gap(blocks: &[Block], capacity: usize, from: usize) -> usize {
    let mut ends: Vec<_> =
        blocks.iter().map(|block| (block.offset, block.offset + block.bytes)).collect();
    ends.sort_unstable();
    let (mut largest, mut start) = (0, from);
    for (offset, end) in ends.into_iter().chain([(capacity, capacity)]) {
        if offset >= start {
            largest = largest.max(offset - start);
        }
        start = start.max(end);
    }
    largest
}

fn check(ring: &Ring, blocks: &[Block]) {
    assert_eq!(ring.used(), blocks.iter().map(|block| block.bytes).sum::<usize>());
    assert_eq!(ring.is_empty(), blocks.is_empty());
    let mut offsets: Vec<_> = blocks.iter().map(|block| block.offset).collect();
    offsets.sort_unstable();
    assert_eq!(ring.blocks().collect::<Vec<_>>(), offsets);
    for block in blocks {
        let Block { offset, bytes, claims } = *block;
        assert_eq!((ring.claims(offset), ring.block_bytes(offset)), (claims, Some(bytes)));
        for (at, length) in [(0, bytes), (0, 0), (bytes - 1, 1), (bytes / 2, bytes - bytes / 2)] {
            assert_eq!(ring.block_of(offset + at, length), Some(offset));
        }
        assert_eq!(ring.block_of(offset, bytes + 1), None);
        assert_eq!(ring.block_of(offset + bytes - 1, usize::MAX), None);
        assert_ne!(ring.block_of(offset + bytes, 0), Some(offset));
    }
}

fn walk(capacity: usize, alignment: usize, steps: &[Step]) {
    let mut ring = Ring::new(capacity, alignment);
    let mut blocks: Vec<Block> = Vec::new();
    for step in steps {
        match *step {
            Step::Allocate(wanted) => {
                let bytes = wanted.max(1).next_multiple_of(alignment);
                match ring.allocate(wanted) {
                    Some(offset) => {
                        assert_eq!(offset % alignment, 0);
                        assert!(offset + bytes <= capacity, "{offset} + {bytes} is outside");
                        let is_apart = |other: &Block| {
                            offset + bytes <= other.offset || other.offset + other.bytes <= offset
                        };
                        assert!(blocks.iter().all(is_apart), "{offset} + {bytes} in {blocks:?}");
                        assert!(!blocks.is_empty() || offset == 0, "an empty ring starts anew");
                        blocks.push(Block { offset, bytes, claims: 1 });
                    }
                    None => {
                        let gap = largest_gap(&blocks, capacity, 0);
                        assert!(gap < bytes, "{bytes} were refused with {gap} free: {blocks:?}");
                    }
                }
            }
            Step::Claim(choice) if !blocks.is_empty() => {
                let index = choice % blocks.len();
                blocks[index].claims += 1;
                assert!(ring.claim(blocks[index].offset));
            }
            Step::Release(choice) if !blocks.is_empty() => {
                let index = choice % blocks.len();
                blocks[index].claims -= 1;
                let Block { offset, claims, .. } = blocks[index];
                assert_eq!(ring.release(offset), Some(claims));
                if claims == 0 {
                    blocks.swap_remove(index);
                    assert_eq!(ring.release(offset), None, "it is free already");
                    assert!(!ring.claim(offset));
                }
            }
            Step::Claim(choice) | Step::Release(choice) => {
                assert!(!ring.claim(choice));
                assert_eq!(ring.release(choice), None);
            }
        }
        check(&ring, &blocks);
    }
    for Block { offset, claims, .. } in blocks {
        (0..claims).for_each(|_| assert!(ring.release(offset).is_some()));
    }
    assert!(ring.is_empty() && ring.used() == 0);
    let whole = capacity / alignment * alignment;
    assert_eq!(ring.allocate(whole), (whole > 0).then_some(0), "everything is found again");
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn a_ring_does_what_its_model_does(
        pages in 1_usize..24,
        odd in 0_usize..64,
        steps in steps(8 * 64),
    ) {
        walk(pages * 64 + odd, 64, &steps);
    }
}

#[test]
fn blocks_that_flow_go_round() {
    let mut ring = Ring::new(10, 1);
    let first = ring.allocate(4);
    let mut last = ring.allocate(4);
    assert_eq!((first, last), (Some(0), Some(4)));
    ring.release(0);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let next = ring.allocate(4);
        ring.release(last.unwrap());
        seen.extend(next);
        last = next;
    }
    assert_eq!(seen, [0, 4, 0, 4]);
    ring.release(last.unwrap());
    assert_eq!(ring.allocate(1), Some(0), "an empty ring begins where the cache is warm");
}

#[test]
fn what_is_held_is_skipped() {
    let mut ring = Ring::new(10, 1);
    let [_, held, _] = [0, 1, 2].map(|_| ring.allocate(3).unwrap());
    ring.release(0);
    ring.release(6);
    let seen: Vec<_> = (0..4)
        .map(|_| {
            let next = ring.allocate(3).unwrap();
            ring.release(next);
            next
        })
        .collect();
    assert_eq!(held, 3);
    assert_eq!(seen, [0, 6, 0, 6]);
    assert_eq!(ring.allocate(4), Some(6));
    assert_eq!(ring.allocate(4), None);
    assert_eq!(ring.allocate(0), Some(0), "nothing takes a byte");
}

#[test]
fn sizes_that_overflow_find_no_room() {
    let mut ring = Ring::new(usize::MAX, 4096);
    assert_eq!(ring.allocate(usize::MAX), None);
    assert!(ring.is_empty());
    assert_eq!(ring.allocate(usize::MAX / 2), Some(0));
}
