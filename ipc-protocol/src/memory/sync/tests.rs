//! Models of every handover between threads, in which loom tries every order of steps: queues of
//! leases, the hold of a fork, and claims that are made and dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::cell::UnsafeCell;
use loom::thread;

use crate::memory::copy::Pieces;
use crate::memory::{Arena, ArenaOptions, Lease, Releases, Segment, SegmentKind, SharedBytes};

const PAGE: usize = 4096;
/// Too large for the ring, so it gets a segment of its own.
const LARGE: usize = 3 * PAGE;

fn options() -> ArenaOptions {
    ArenaOptions {
        kind: SegmentKind::Heap,
        ring_bytes: 2 * PAGE,
        ring_block_max_bytes: PAGE,
        max_bytes: 1 << 20,
        idle_max_bytes: 0,
    }
}

fn lease(number: u64, bytes: usize, segment: &Arc<Segment>, releases: &Arc<Releases>) -> Lease {
    Lease::new(number, Arc::clone(segment), 0..bytes, false, Arc::clone(releases)).unwrap()
}

/// Leases that are dropped while others are taken from the queue are returned once each, and the
/// waker is called for those that remain.
#[test]
fn every_lease_is_given_back_once() {
    loom::model(|| {
        let segment = Segment::create(SegmentKind::Heap, PAGE).unwrap();
        let releases = Arc::new(Releases::default());
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        releases.set_waker(15, move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let droppers = [(1, 10), (2, 20)].map(|(number, bytes)| {
            let lease = lease(number, bytes, &segment, &releases);
            thread::spawn(move || drop(lease))
        });
        drop(lease(3, 5, &segment, &releases));
        let (mut numbers, _) = releases.take();
        droppers.into_iter().for_each(|dropper| dropper.join().unwrap());
        let wakes = wakes.load(Ordering::Relaxed);
        let is_left = |number| !numbers.contains(&number);
        assert!(!is_left(2) || wakes > 0, "20 bytes wait, and nobody was woken");
        assert_eq!(releases.is_empty(), ![1, 2, 3].into_iter().any(is_left));
        numbers.extend(releases.take().0);
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3]);
        assert!(releases.is_empty());
    });
}

/// A lease that is alive at the fork is returned only after the hold, with a call of the waker.
/// Leases dropped before or made later are returned at once.
#[test]
fn nothing_passes_the_hold_of_a_fork() {
    loom::model(|| {
        let segment = Segment::create(SegmentKind::Heap, PAGE).unwrap();
        let releases = Arc::new(Releases::default());
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        releases.set_waker(25, move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let [before, alive] =
            [(1, 10), (2, 30)].map(|(number, bytes)| lease(number, bytes, &segment, &releases));
        let connection = {
            let releases = Arc::clone(&releases);
            thread::spawn(move || releases.take().0)
        };
        drop(before);
        releases.hold(true);
        drop(alive);
        drop(lease(3, 10, &segment, &releases));
        let mut early = connection.join().unwrap();
        early.extend(releases.take().0);
        assert_eq!(early, [1, 3], "the child may still look at the other");
        assert!(releases.is_empty() && releases.take().0.is_empty());
        assert_eq!(wakes.load(Ordering::Relaxed), 0);
        releases.hold(false);
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        assert_eq!(releases.take().0, [2]);
    });
}

/// A claim is dropped while another is requested: either the second one holds the block, or it came
/// too late and the block is free.
#[test]
fn a_block_is_held_or_free() {
    for bytes in [PAGE, LARGE] {
        loom::model(move || {
            let arena = Arena::new(options());
            let claim = arena.allocate(bytes).unwrap();
            let address = claim.address();
            let dropper = thread::spawn(move || drop(claim));
            let again = arena.claim_at(address, bytes);
            let other = arena.allocate(bytes).unwrap();
            if let Some((again, _)) = &again {
                assert_eq!(again.address(), address);
                assert_ne!(other.address(), address, "somebody still looks at it");
            }
            dropper.join().unwrap();
            assert!(again.is_none_or(|(again, _)| again.is_sole()));
            drop(other);
            assert_eq!(arena.stats().used_bytes, 0);
        });
    }
}

/// Two threads never get the same block, and a claim kept as an address is ended once.
#[test]
fn blocks_are_handed_out_once() {
    loom::model(|| {
        let arena = Arena::new(options());
        let (first, _) = arena.allocate_address(PAGE).unwrap();
        let (releaser, other) = {
            let arena = arena.clone();
            let releaser = thread::spawn(move || assert!(arena.release_at(first).is_some()));
            (releaser, Arena::clone)
        };
        let arena_of_other = other(&arena);
        let taker = thread::spawn(move || arena_of_other.allocate(PAGE).unwrap());
        let own = arena.allocate(LARGE).unwrap();
        let taken = taker.join().unwrap();
        releaser.join().unwrap();
        assert_ne!(own.segment().id(), taken.segment().id());
        assert_eq!(arena.stats().used_bytes, taken.bytes() + own.bytes());
        drop((own, taken));
        assert_eq!(arena.stats().used_bytes, 0);
    });
}

/// The holder that finds itself the only one may write: all reads of earlier holders have happened
/// before.
#[test]
fn the_sole_holder_comes_after_all_others() {
    loom::model(|| {
        let arena = Arena::new(options());
        let claim = arena.allocate(PAGE).unwrap();
        let further = arena.claim_at(claim.address(), PAGE).unwrap();
        let bytes = SharedBytes::claimed(claim, further.1, PAGE).unwrap();
        let memory = Arc::new(UnsafeCell::new(()));
        let readers = [Some(bytes.clone()), None].map(|bytes| (bytes, Arc::clone(&memory)));
        let mut further = Some(further);
        let readers = readers.map(|(bytes, memory)| {
            let claim = if bytes.is_none() { further.take() } else { None };
            thread::spawn(move || {
                memory.with(|_| ());
                drop((bytes, claim));
            })
        });
        if bytes.is_sole() {
            memory.with_mut(|_| ());
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert!(bytes.is_sole());
    });
}

/// A thread that has waited for a copy sees everything that others copied, and helpers that start
/// late touch no piece after that: loom reports accesses to a piece that are not ordered.
#[test]
fn a_copy_is_done_when_every_piece_is() {
    struct Copy {
        pieces: Pieces,
        target: [UnsafeCell<usize>; 2],
    }
    impl Copy {
        fn work(&self) {
            while let Some(piece) = self.pieces.claim() {
                // SAFETY: the piece is claimed by this thread alone.
                self.target[piece].with_mut(|target| unsafe { *target += 1 });
                self.pieces.finish();
            }
        }
    }
    loom::model(|| {
        let target = std::array::from_fn(|_| UnsafeCell::new(0));
        let copy = loom::sync::Arc::new(Copy { pieces: Pieces::new(2), target });
        let helpers = [(); 2].map(|()| {
            let copy = loom::sync::Arc::clone(&copy);
            thread::spawn(move || copy.work())
        });
        copy.work();
        while !copy.pieces.are_done() {
            thread::yield_now();
        }
        for target in &copy.target {
            // SAFETY: no thread writes once all pieces are done.
            assert_eq!(target.with(|target| unsafe { *target }), 1);
        }
        helpers.into_iter().for_each(|helper| helper.join().unwrap());
    });
}
