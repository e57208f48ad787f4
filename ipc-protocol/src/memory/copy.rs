//! Copies within this process's memory. One core copies about 13 GB/s with any instructions, so
//! several threads share a copy that takes much longer than waking them.

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, SyncSender};
use std::{hint, mem, process, ptr, thread};

use super::sync::{Arc, AtomicUsize};

/// One thread is used per this many bytes: copying them takes a hundred times as long as waking a
/// thread.
const BYTES_PER_THREAD: usize = 4 << 20;
/// Most threads for one copy: more do not make memory faster.
const MAX_THREADS: usize = 4;
/// Length of the piece that a thread copies at a time: short, so that a thread that starts late
/// delays no other.
const PIECE_BYTES: usize = 256 << 10;
/// Number of checks for the last piece before the waiting thread yields its processor; they take
/// some microseconds.
const LOOKS: usize = 200;

/// Copies `source` to `target`, which has the same length.
///
/// Large copies are shared with helper threads. A helper that wakes late, or that a fork has lost,
/// does not delay the copy: only pieces that a helper has begun are waited for.
pub(super) fn copy(source: &[u8], target: &mut [u8]) {
    let threads = (source.len() / BYTES_PER_THREAD).min(cores()).min(MAX_THREADS);
    if threads < 2 {
        target.copy_from_slice(source);
        return;
    }
    let job = Arc::new(Job::new(source, target));
    Helpers::call(&job, threads - 1);
    job.work();
    job.wait();
}

/// Whether both slices hold the same bytes. Several threads compare large ones.
#[must_use]
pub fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let threads = (one.len() / BYTES_PER_THREAD).min(cores()).min(MAX_THREADS);
    if one.len() != other.len() || threads < 2 {
        return one == other;
    }
    let share = one.len().div_ceil(threads);
    thread::scope(|scope| {
        let mut shares = one.chunks(share).zip(other.chunks(share));
        let first = shares.next();
        let others: Vec<_> = shares.map(|(one, other)| scope.spawn(move || one == other)).collect();
        first.is_none_or(|(one, other)| one == other)
            && others.into_iter().all(|other| other.join().unwrap_or(false))
    })
}

/// A copy that several threads share.
struct Job {
    source: *const u8,
    target: *mut u8,
    bytes: usize,
    pieces: Pieces,
}

// SAFETY: the pointers are used only for claimed pieces. Each piece is claimed once, and `copy`,
// which borrows both slices, returns only when all claimed pieces are done.
unsafe impl Send for Job {}
// SAFETY: as above; the other shared fields are constant or atomic.
unsafe impl Sync for Job {}

impl Job {
    fn new(source: &[u8], target: &mut [u8]) -> Self {
        let bytes = source.len().min(target.len());
        Self {
            source: source.as_ptr(),
            target: target.as_mut_ptr(),
            bytes,
            pieces: Pieces::new(bytes.div_ceil(PIECE_BYTES)),
        }
    }

    /// Copies pieces until all are claimed.
    fn work(&self) {
        while let Some(piece) = self.pieces.claim() {
            let start = piece * PIECE_BYTES;
            let bytes = PIECE_BYTES.min(self.bytes - start);
            // SAFETY: the piece lies in both slices, which are borrowed until it is done and cannot
            // overlap (one is borrowed mutably), and no other thread has claimed it.
            unsafe {
                ptr::copy_nonoverlapping(self.source.add(start), self.target.add(start), bytes);
            }
            self.pieces.finish();
        }
    }

    /// Waits until the pieces that other threads have claimed are copied.
    fn wait(&self) {
        let mut looks = 0;
        while !self.pieces.are_done() {
            looks += 1;
            if looks < LOOKS { hint::spin_loop() } else { thread::yield_now() }
        }
    }
}

/// Assigns each piece to one thread, and counts the pieces that are done.
pub(super) struct Pieces {
    count: usize,
    claimed: AtomicUsize,
    finished: AtomicUsize,
}

impl Pieces {
    pub(super) fn new(count: usize) -> Self {
        Self { count, claimed: AtomicUsize::new(0), finished: AtomicUsize::new(0) }
    }

    /// Claims the next piece; `None` when all are claimed. Pieces are claimed from the end, so that
    /// the start, which is read first, is copied last and still in the caches.
    pub(super) fn claim(&self) -> Option<usize> {
        let claimed = self.claimed.fetch_add(1, Ordering::Relaxed);
        self.count.checked_sub(claimed + 1)
    }

    /// Counts a claimed piece as done.
    pub(super) fn finish(&self) {
        self.finished.fetch_add(1, Ordering::Release);
    }

    pub(super) fn are_done(&self) -> bool {
        self.finished.load(Ordering::Acquire) == self.count
    }
}

/// Helper threads, which sleep until there is a copy to share.
struct Helpers {
    /// Process id of the process that has the threads: a forked child has none of them.
    process: u32,
    jobs: Vec<SyncSender<Arc<Job>>>,
}

impl Helpers {
    /// Shares a copy with this many helper threads, which are started by the first call.
    fn call(job: &Arc<Job>, count: usize) {
        static HELPERS: std::sync::Mutex<Option<Helpers>> = std::sync::Mutex::new(None);
        // The lock is held only briefly, so a thread that finds it taken copies alone. So does the
        // child of a fork at which the lock was held.
        let Ok(mut helpers) = HELPERS.try_lock() else { return };
        let is_ours = |helpers: &Helpers| helpers.process == process::id();
        if !helpers.as_ref().is_some_and(is_ours) {
            // Channels of the parent process are leaked, not dropped: a thread may have held their
            // locks at the fork.
            mem::forget(helpers.replace(Self::start()));
        }
        for jobs in helpers.iter().flat_map(|helpers| &helpers.jobs).take(count) {
            // A helper whose channel is full does not share this copy.
            let _ = jobs.try_send(Arc::clone(job));
        }
    }

    fn start() -> Self {
        let jobs = (1..cores().min(MAX_THREADS)).filter_map(|_| {
            let (sender, jobs) = mpsc::sync_channel::<Arc<Job>>(1);
            let work = move || jobs.iter().for_each(|job| job.work());
            let thread = thread::Builder::new().name("remotemedia-cpy".to_owned()).spawn(work);
            thread.is_ok().then_some(sender)
        });
        Self { process: process::id(), jobs: jobs.collect() }
    }
}

fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, NonZeroUsize::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| at.to_le_bytes()[at % 3]).collect()
    }

    /// Not under Miri, which reports threads that outlive the tests.
    #[test]
    #[cfg(not(miri))]
    fn every_byte_arrives_whatever_the_length() {
        for bytes in [0, 1, PIECE_BYTES + 1, 2 * BYTES_PER_THREAD, 5 * BYTES_PER_THREAD + 77] {
            let source = sample(bytes);
            let mut target = vec![0; bytes];
            copy(&source, &mut target);
            assert!(source == target, "{bytes} bytes");
        }
    }

    #[test]
    #[cfg(not(miri))]
    fn a_different_byte_is_found_wherever_it_is() {
        for bytes in [5, 2 * BYTES_PER_THREAD + 77] {
            let one = sample(bytes);
            assert!(is_equal(&one, &one.clone()), "{bytes} bytes");
            for at in [0, bytes / 2, bytes - 1] {
                let mut other = one.clone();
                other[at] ^= 1;
                assert!(!is_equal(&one, &other), "byte {at} of {bytes}");
            }
            assert!(!is_equal(&one, &one[1..]));
        }
    }

    #[test]
    #[cfg(not(miri))]
    fn copies_at_the_same_time_share_the_helpers() {
        thread::scope(|scope| {
            for seed in 0..4 {
                scope.spawn(move || {
                    let source = vec![seed; 3 * BYTES_PER_THREAD];
                    let mut target = vec![9; source.len()];
                    copy(&source, &mut target);
                    assert!(source == target);
                });
            }
        });
    }

    #[test]
    fn several_threads_copy_every_byte_between_them() {
        let source = sample(3 * PIECE_BYTES + 5);
        let mut target = vec![0; source.len()];
        let job = Job::new(&source, &mut target);
        thread::scope(|scope| {
            scope.spawn(|| job.work());
            job.work();
            job.wait();
        });
        assert!(source == target);
    }

    #[test]
    fn a_piece_is_claimed_once_and_nothing_is_left_for_those_that_come_late() {
        let pieces = Pieces::new(2);
        assert_eq!([pieces.claim(), pieces.claim(), pieces.claim()], [Some(1), Some(0), None]);
        pieces.finish();
        assert!(!pieces.are_done(), "one is still being copied");
        pieces.finish();
        assert!(pieces.are_done());
        assert_eq!(pieces.claim(), None);
    }
}
