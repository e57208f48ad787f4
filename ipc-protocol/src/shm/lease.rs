//! Leases on a peer's blocks, and how they go back: dropping one only puts its number into a
//! queue, which the connection empties when it sends something or has idled for a while.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::segment::Segment;

/// Leases that are to be given back over one connection.
#[derive(Default)]
pub struct Releases {
    queue: Mutex<VecDeque<Released>>,
    /// Bytes of the blocks in the queue.
    bytes: AtomicUsize,
    /// Leases that are alive.
    outstanding: AtomicUsize,
    /// While set, nothing is given back: the process has forked and its child may still look.
    is_held: AtomicBool,
    waker: OnceLock<(usize, Box<dyn Fn() + Send + Sync>)>,
}

impl fmt::Debug for Releases {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Releases").field("waiting", &self.lock().len()).finish()
    }
}

#[derive(Debug)]
struct Released {
    lease: u64,
    bytes: usize,
    /// The part of a private mapping that the holder may have written.
    private: Option<(Arc<Segment>, Range<usize>)>,
}

impl Releases {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Released>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `wake` called whenever more than `bytes` wait to be given back and nothing is on its
    /// way. Only the first call has effect.
    pub fn set_waker(&self, bytes: usize, wake: impl Fn() + Send + Sync + 'static) {
        let _first_stays = self.waker.set((bytes, Box::new(wake)));
    }

    fn push(&self, released: Released) {
        let bytes = released.bytes;
        self.lock().push_back(released);
        let before = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        if let Some((limit, wake)) = self.waker.get()
            && before <= *limit
            && before + bytes > *limit
        {
            wake();
        }
    }

    /// Puts leases back into the queue whose end was not told after all.
    pub(super) fn give_back(&self, leases: Vec<u64>) {
        for lease in leases {
            self.push(Released { lease, bytes: 1, private: None });
        }
    }

    /// Whether something waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.load(Ordering::Acquire) == 0 || self.is_held.load(Ordering::Acquire)
    }

    /// Whether a lease is alive that will be given back over this connection.
    #[must_use]
    pub fn is_outstanding(&self) -> bool {
        self.outstanding.load(Ordering::Acquire) > 0
    }

    /// Nothing is given back from now on, or it is again.
    pub fn hold(&self, is_held: bool) {
        self.is_held.store(is_held, Ordering::Release);
    }

    /// The numbers of the leases that are given back now, with the bytes that the kernel had
    /// copied because their holders wrote to them.
    pub fn take(&self) -> (Vec<u64>, usize) {
        if self.is_empty() {
            return (Vec::new(), 0);
        }
        let taken = std::mem::take(&mut *self.lock());
        let bytes = taken.iter().map(|released| released.bytes).sum();
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        let mut copied = 0;
        let number = |released: Released| {
            if let Some((segment, part)) = released.private {
                copied += segment.forget_writes(part);
            }
            released.lease
        };
        let numbers = taken.into_iter().map(number).collect();
        (numbers, copied)
    }
}

/// The right to look at a peer's block. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Lease {
    number: u64,
    part: Range<usize>,
    segment: Arc<Segment>,
    is_private: bool,
    releases: Arc<Releases>,
    /// Set when the lease ends by another message than a release.
    is_ended: AtomicBool,
}

impl Lease {
    pub(super) fn new(
        number: u64,
        segment: Arc<Segment>,
        part: Range<usize>,
        is_private: bool,
        releases: Arc<Releases>,
    ) -> Self {
        releases.outstanding.fetch_add(1, Ordering::AcqRel);
        Self { number, part, segment, is_private, releases, is_ended: AtomicBool::new(false) }
    }

    /// The number, if the lease came over the connection with this queue.
    pub(super) fn number_for(&self, releases: &Arc<Releases>) -> Option<u64> {
        Arc::ptr_eq(&self.releases, releases).then_some(self.number)
    }

    /// Where the leased part begins in its segment.
    pub(super) fn start(&self) -> usize {
        self.part.start
    }

    /// Whether its holder wrote to pages of its own, which the lender cannot see.
    pub(super) fn has_private_writes(&self) -> bool {
        self.is_private && self.segment.has_writes(self.part.clone())
    }

    /// It ends with a message that is being sent; dropping it then does nothing.
    pub(super) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.releases.outstanding.fetch_sub(1, Ordering::AcqRel);
        if self.is_ended.load(Ordering::Acquire) {
            return;
        }
        let private = self.is_private.then(|| (Arc::clone(&self.segment), self.part.clone()));
        let bytes = self.part.len().max(1);
        self.releases.push(Released { lease: self.number, bytes, private });
    }
}
