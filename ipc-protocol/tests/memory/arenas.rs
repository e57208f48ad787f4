//! Arenas over every kind of segment: where blocks come from, when they come again, the limits.

use std::collections::BTreeSet;

use ipc_protocol::memory::{Arena, ArenaOptions, ArenaStats, SegmentKind, SharedBytes};

use super::support::{PAGE, RING, RING_BLOCK_MAX, kinds, pattern, poke};

const KIB: usize = 1 << 10;

fn options(kind: SegmentKind) -> ArenaOptions {
    ArenaOptions {
        kind,
        ring_bytes: RING,
        ring_block_max_bytes: RING_BLOCK_MAX,
        max_bytes: 1 << 20,
        idle_max_bytes: 256 * KIB,
    }
}

#[test]
fn small_blocks_share_the_ring_and_large_ones_have_their_own() {
    for kind in kinds() {
        let arena = Arena::new(options(*kind));
        assert_eq!(arena.stats(), ArenaStats::default());
        let small = arena.allocate(RING_BLOCK_MAX).unwrap();
        let other = arena.allocate(1).unwrap();
        assert_eq!(small.segment().id(), other.segment().id());
        assert_eq!((small.bytes(), other.bytes()), (RING_BLOCK_MAX, PAGE));
        let large = arena.allocate(RING_BLOCK_MAX + 1).unwrap();
        assert_ne!(small.segment().id(), large.segment().id());
        assert_eq!((large.offset(), large.bytes()), (0, 64 * KIB));
        let stats = ArenaStats {
            segments: 2,
            mapped_bytes: RING + 64 * KIB,
            idle_bytes: 0,
            used_bytes: RING_BLOCK_MAX + PAGE + 64 * KIB,
        };
        assert_eq!(arena.stats(), stats, "{kind:?}");
    }
}

#[test]
fn a_full_ring_is_no_end() {
    for kind in kinds() {
        let arena = Arena::new(options(*kind));
        let blocks: Vec<_> = (0..5).map(|_| arena.allocate(RING_BLOCK_MAX).unwrap()).collect();
        let segments: BTreeSet<_> = blocks.iter().map(|block| block.segment().id()).collect();
        assert_eq!(segments.len(), 2, "{kind:?}: four fill the ring");
        assert_eq!(blocks[4].bytes(), 64 * KIB);
    }
}

#[test]
fn sizes_come_in_four_steps_per_power_of_two() {
    for kind in kinds() {
        let arena = Arena::new(options(*kind));
        let size = |bytes| arena.allocate(bytes).unwrap().bytes() / KIB;
        let sizes = [64, 65, 80, 81, 97, 113, 128, 129, 161, 256].map(|kib| size(kib * KIB));
        assert_eq!(sizes, [64, 80, 80, 96, 112, 128, 128, 160, 192, 256], "{kind:?}");
        assert_eq!(size(64 * KIB + 1), 80);
        assert!(arena.allocate(usize::MAX).is_err());
        assert!(arena.allocate(usize::MAX / 2 + 2).is_err());
    }
}

#[test]
fn what_was_freed_last_is_used_first() {
    for kind in kinds() {
        let arena = Arena::new(options(*kind));
        let [first, second, third] = [(); 3].map(|()| arena.allocate(100 * KIB - 50_000).unwrap());
        let addresses = [first.address(), second.address(), third.address()];
        drop(second);
        drop(first);
        assert_eq!(arena.stats().idle_bytes, 2 * 64 * KIB);
        let again = [(); 2].map(|()| arena.allocate(60 * KIB).unwrap());
        assert_eq!(again.each_ref().map(|claim| claim.address()), [addresses[0], addresses[1]]);
        assert_eq!(arena.stats().segments, 3, "{kind:?}: nothing was made anew");
        assert_eq!(arena.stats().idle_bytes, 0);
    }
}

#[test]
fn idle_segments_are_trimmed_largest_first() {
    for kind in kinds() {
        let arena = Arena::new(options(*kind));
        let small = [(); 2].map(|()| arena.allocate(64 * KIB).unwrap());
        let large = [(); 2].map(|()| arena.allocate(160 * KIB).unwrap());
        drop(small);
        let [first, second] = large;
        drop(first);
        assert_eq!(arena.stats().idle_bytes, 128 * KIB, "{kind:?}: 288 KiB were too much");
        drop(second);
        let stats = arena.stats();
        assert_eq!((stats.idle_bytes, stats.segments), (128 * KIB, 2), "{kind:?}");
        assert_eq!(stats.mapped_bytes, stats.idle_bytes);
    }
}

#[test]
fn the_limit_is_an_error_until_something_is_free() {
    for kind in kinds() {
        let arena = Arena::new(options(*kind));
        let large = [(); 4].map(|()| arena.allocate(256 * KIB).unwrap());
        let refusal = arena.allocate(64 * KIB).unwrap_err();
        assert_eq!(refusal.kind(), std::io::ErrorKind::OutOfMemory, "{kind:?}");
        assert!(arena.allocate(1).is_err(), "there is no room for the ring either");
        let mut large = large.into_iter();
        drop(large.next());
        assert_eq!(arena.stats().idle_bytes, 256 * KIB);
        let other_size = arena.allocate(200 * KIB).unwrap();
        assert_eq!(arena.stats().idle_bytes, 0, "the idle one was given up for it");
        assert_eq!(other_size.bytes(), 224 * KIB);
        assert_eq!(arena.stats().mapped_bytes, (3 * 256 + 224) * KIB);
    }
}

#[test]
fn a_block_stays_as_long_as_anybody_claims_it() {
    for kind in kinds() {
        let arena = Arena::new(options(*kind));
        let claim = arena.allocate(3 * PAGE).unwrap();
        let address = claim.address();
        assert!(claim.is_sole());
        let (inner, offset) = arena.claim_at(address + PAGE, PAGE).unwrap();
        assert_eq!((offset, inner.offset()), (claim.offset() + PAGE, claim.offset()));
        assert!(!claim.is_sole() && !inner.is_sole());
        assert!(arena.claim_at(address + PAGE, 2 * PAGE + 1).is_none(), "more than the block has");
        assert!(arena.claim_at(address + 3 * PAGE, 0).is_none(), "behind the block");
        assert!(arena.claim_at(address - 1, 1).is_none());
        drop(claim);
        assert!(inner.is_sole());
        assert_eq!(arena.stats().used_bytes, 3 * PAGE, "{kind:?}");
        assert_ne!(arena.allocate(PAGE).unwrap().address(), address);
        drop(inner);
        assert_eq!(arena.stats().used_bytes, 0);
        assert!(arena.claim_at(address, 1).is_none());
    }
}

#[test]
fn bare_addresses_are_claims_too() {
    for kind in kinds() {
        let arena = Arena::new(options(*kind));
        let (address, length) = arena.allocate_address(5000).unwrap();
        assert_eq!((arena.block_bytes(address), length), (Some(2 * PAGE), 2 * PAGE));
        assert!(arena.holds(address) && arena.holds(address + 2 * PAGE - 1));
        assert!(!arena.holds(address + 2 * PAGE));
        let (claim, _) = arena.claim_at(address, 5000).unwrap();
        assert_eq!(arena.release_at(address), Some(2 * PAGE));
        assert!(claim.is_sole(), "{kind:?}");
        drop(claim);
        assert!(arena.release_at(address).is_none(), "it is free already");
        let local = 0_u8;
        assert!(arena.release_at((&raw const local).addr()).is_none(), "not the arena's");
    }
}

#[test]
fn nothing_is_written_beyond_a_block_or_before_other_eyes() {
    for kind in kinds() {
        let arena = Arena::new(options(*kind));
        let mut first = arena.allocate(PAGE).unwrap();
        let mut second = arena.allocate(PAGE).unwrap();
        assert_eq!(second.offset(), first.offset() + PAGE);
        assert!(second.write(&pattern(9, PAGE)));
        assert!(!first.write(&pattern(1, PAGE + 1)), "{kind:?}: it would reach the next block");
        assert!(first.write(&pattern(1, PAGE)));
        let (start, eyes) = (first.offset(), arena.claim_at(first.address(), 1).unwrap());
        assert!(!first.write(b"late"), "{kind:?}: somebody may look");
        drop(eyes);
        let (claim, _) = arena.claim_at(second.address(), PAGE).unwrap();
        let seen = SharedBytes::claimed(claim, start + PAGE, PAGE).unwrap();
        assert_eq!(seen.as_slice(), pattern(9, PAGE));
        for (offset, length) in [(start + 1, PAGE), (start, PAGE + 1), (start + PAGE, usize::MAX)] {
            let (claim, _) = arena.claim_at(first.address(), 1).unwrap();
            assert!(SharedBytes::claimed(claim, offset, length).is_none(), "{offset} {length}");
        }
        let (claim, _) = arena.claim_at(second.address(), 1).unwrap();
        assert!(SharedBytes::claimed(claim, start, PAGE).is_none(), "before its block");
        assert!(first.is_sole(), "a refused claim is given up");
    }
}

/// Under Miri, which knows what has happened before what: whoever finds that it is the last to hold
/// bytes may write to them at once.
#[test]
fn the_last_holder_comes_after_all_others() {
    for kind in kinds() {
        let arena = Arena::new(options(*kind));
        let mut claim = arena.allocate(PAGE).unwrap();
        assert!(claim.write(&pattern(1, 100)));
        let (again, offset) = arena.claim_at(claim.address(), 100).unwrap();
        let bytes = SharedBytes::claimed(claim, offset, 100).unwrap();
        let (shared, claimed) = (bytes.clone(), SharedBytes::claimed(again, offset, 100).unwrap());
        let readers = [shared, claimed].map(|bytes| {
            std::thread::spawn(move || {
                let seen = bytes.as_slice() == pattern(1, 100);
                drop(bytes);
                seen
            })
        });
        while !bytes.is_sole() {
            std::thread::yield_now();
        }
        poke(&bytes, 0, 99);
        assert!(readers.into_iter().all(|reader| reader.join().unwrap()), "{kind:?}");
        assert_eq!(bytes.as_slice()[0], 99);
    }
}

#[test]
fn what_a_fork_shares_is_not_used_again_before_its_end() {
    for kind in kinds() {
        let arena = Arena::new(options(*kind));
        let [small, large] = [PAGE, 64 * KIB].map(|bytes| arena.allocate(bytes).unwrap());
        let addresses = [small.address(), large.address()];
        arena.hold_for_fork();
        arena.hold_for_fork();
        let after = arena.allocate(PAGE).unwrap();
        drop((small, large));
        assert_eq!(arena.stats().used_bytes, 64 * KIB + 2 * PAGE, "{kind:?}");
        drop(after);
        assert_eq!(arena.stats().used_bytes, 64 * KIB + PAGE, "a later block is not held");
        let [small, large] = [PAGE, 64 * KIB].map(|bytes| arena.allocate(bytes).unwrap());
        assert!(!addresses.contains(&small.address()) && !addresses.contains(&large.address()));
        drop((small, large));
        arena.end_fork_hold();
        assert_eq!(arena.stats().used_bytes, 0, "{kind:?}");
        arena.end_fork_hold();
        assert_eq!(arena.allocate(PAGE).unwrap().address(), addresses[0]);
    }
}

/// Each segment costs both sides a descriptor, so their number is limited like their size.
#[test]
#[cfg_attr(miri, ignore = "too long under Miri")]
fn there_are_not_more_segments_than_descriptors_can_be_spared() {
    for kind in kinds() {
        let arena = Arena::new(ArenaOptions { max_bytes: usize::MAX, ..options(*kind) });
        let mut claims = Vec::new();
        let refusal = loop {
            match arena.allocate(64 * KIB) {
                Ok(claim) => claims.push(claim),
                Err(error) => break error,
            }
            assert!(claims.len() < 1000, "{kind:?}: no end");
        };
        assert!(refusal.to_string().contains("256"), "{refusal}");
        assert_eq!(arena.stats().segments, 256);
        claims.pop();
        assert!(arena.allocate(128 * KIB).is_ok(), "an idle one makes room");
    }
}
