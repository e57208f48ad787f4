//! Leases on a peer's blocks, and the queue through which they are returned: dropping a lease only
//! puts its number into the queue. The connection empties it with the next message or after some
//! idling.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::fork::{self, Generation};
use super::segment::Segment;
use super::sync::{AtomicBool, Mutex, MutexGuard};

/// The leases of one connection: those that are alive, and the queue of those to return.
#[derive(Default)]
pub struct Releases {
    queue: Mutex<Queue>,
    /// Whether the queue has leases to return, readable without the lock. Sequentially consistent,
    /// so that no wake-up is lost: a thread announces its wait and then reads this flag; the waker
    /// is called after the flag was set. So either the thread sees the flag, or the waker sees the
    /// wait.
    gives: AtomicBool,
    /// Whether leases are alive, readable without the lock.
    has_alive: AtomicBool,
    /// Whether leases are held only for forked children, readable without the lock.
    has_held: AtomicBool,
    waker: OnceLock<Waker>,
    generation: Generation,
}

struct Waker {
    bytes: usize,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Leases that are alive: number of leased bytes, and when each lease was made.
    alive: BTreeMap<u64, (usize, Instant)>,
    released: Vec<Released>,
    /// Total length of the leased bytes in `released`.
    bytes: usize,
    /// Leases that were alive when the process forked. They are not returned while a child may read
    /// their bytes; `Some` once this process has dropped the lease.
    held: BTreeMap<u64, Option<Released>>,
    /// True from `Releases::hold(true)` to `hold(false)`: `held` then stays even if no child is
    /// left.
    is_held: bool,
    /// [`fork::count`] at the last check for forks.
    forks: u64,
}

impl Queue {
    /// Holds all leases that are alive if the process has forked since the last check. They are
    /// those of the time of the fork, because every change begins with this check.
    fn note_forks(&mut self) {
        let forks = fork::count();
        if self.forks != forks {
            self.forks = forks;
            self.hold();
        }
    }

    fn hold(&mut self) {
        for &lease in self.alive.keys() {
            self.held.entry(lease).or_insert(None);
        }
    }

    fn end_hold(&mut self) {
        let held = std::mem::take(&mut self.held);
        held.into_values().flatten().for_each(|released| self.release(released));
    }

    fn release(&mut self, released: Released) {
        match self.held.get_mut(&released.lease) {
            Some(held) => *held = Some(released),
            None => {
                self.bytes += released.bytes;
                self.released.push(released);
            }
        }
    }
}

impl fmt::Debug for Releases {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Releases").field("is_empty", &self.is_empty()).finish()
    }
}

#[derive(Debug)]
struct Released {
    lease: u64,
    bytes: usize,
    /// The part of a private mapping that the holder may have written to.
    private: Option<(Arc<Segment>, Range<usize>)>,
}

impl Releases {
    /// Changes the queue, and calls the waker if the change takes the queue above the waker's
    /// limit.
    fn change<R>(&self, change: impl FnOnce(&mut Queue) -> R) -> R {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.note_forks();
        let before = self.is_above_limit(&queue);
        let result = change(&mut queue);
        self.has_alive.store(!queue.alive.is_empty(), Ordering::Release);
        self.has_held.store(!queue.is_held && !queue.held.is_empty(), Ordering::Release);
        self.gives.store(!queue.released.is_empty(), Ordering::SeqCst);
        let wakes = !before && self.is_above_limit(&queue);
        drop(queue);
        if wakes && let Some(waker) = self.waker.get() {
            (waker.wake)();
        }
        result
    }

    fn is_above_limit(&self, queue: &MutexGuard<'_, Queue>) -> bool {
        self.waker.get().is_some_and(|waker| queue.bytes > waker.bytes)
    }

    /// Sets the waker: `wake` is called when the queue grows above `bytes`, and again only after
    /// the queue was emptied. Only the first call of `set_waker` has effect.
    pub fn set_waker(&self, bytes: usize, wake: impl Fn() + Send + Sync + 'static) {
        let _first_stays = self.waker.set(Waker { bytes, wake: Box::new(wake) });
    }

    fn push(&self, released: Released) {
        // In a forked child the lease belongs to the parent, and the lock may never be released.
        if !self.generation.is_past() {
            self.change(|queue| {
                queue.alive.remove(&released.lease);
                queue.release(released);
            });
        }
    }

    /// Whether leases of this connection are alive; quick.
    #[must_use]
    pub fn is_outstanding(&self) -> bool {
        self.has_alive.load(Ordering::Acquire)
    }

    /// Number of bytes and age of each lease that is alive, oldest first.
    #[must_use]
    pub fn alive(&self) -> Vec<(usize, Duration)> {
        if self.generation.is_past() {
            return Vec::new();
        }
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let age = |(bytes, since): &(usize, Instant)| (*bytes, now.duration_since(*since));
        queue.alive.values().map(age).collect()
    }

    /// Puts leases into the queue that had ended by a message which was not sent.
    pub(crate) fn give_back(&self, leases: Vec<u64>) {
        for lease in leases {
            self.push(Released { lease, bytes: 1, private: None });
        }
    }

    /// Whether no lease is to be returned now; quick.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.gives.load(Ordering::SeqCst) || self.generation.is_past()
    }

    /// With true, leases that are alive now are not returned until the call with false, because a
    /// forked child may read their bytes. Without this call, a fork holds them only until its
    /// children have ended.
    pub fn hold(&self, is_held: bool) {
        if !self.generation.is_past() {
            self.change(|queue| {
                queue.is_held = is_held;
                if is_held { queue.hold() } else { queue.end_hold() }
            });
        }
    }

    /// Ends the hold of leases if it was only for children, and all of them have ended. Quick if no
    /// lease is held.
    pub(crate) fn end_needless_hold(&self) {
        if self.has_held.load(Ordering::Acquire)
            && !self.generation.is_past()
            && !fork::has_children()
        {
            self.change(Queue::end_hold);
        }
    }

    /// Whether the lease is held because a child may read its bytes.
    fn holds(&self, lease: u64) -> bool {
        self.change(|queue| queue.held.contains_key(&lease))
    }

    /// Empties the queue: the numbers of the leases to return now, and how many bytes the kernel
    /// had copied because holders wrote to private mappings.
    pub fn take(&self) -> (Vec<u64>, usize) {
        if self.is_empty() {
            return (Vec::new(), 0);
        }
        let taken = self.change(|queue| {
            queue.bytes = 0;
            std::mem::take(&mut queue.released)
        });
        let mut copied = 0;
        let number = |released: Released| {
            if let Some((segment, part)) = released.private {
                // If the private writes cannot be discarded, the lease is never returned, so the
                // block is never reused.
                copied += segment.forget_writes(part).ok()?;
            }
            Some(released.lease)
        };
        let numbers = taken.into_iter().filter_map(number).collect();
        (numbers, copied)
    }
}

/// The right to use a part of a peer's block. Dropping the lease returns it.
#[derive(Debug)]
pub(crate) struct Lease {
    number: u64,
    part: Range<usize>,
    segment: Arc<Segment>,
    is_private: bool,
    releases: Arc<Releases>,
    /// Set when the lease ends because a message returns its bytes, so no `Release` is needed.
    is_ended: AtomicBool,
}

impl Lease {
    /// A new lease with this number; `None` when one with the number is alive.
    pub(crate) fn new(
        number: u64,
        segment: Arc<Segment>,
        part: Range<usize>,
        is_private: bool,
        releases: Arc<Releases>,
    ) -> Option<Self> {
        let bytes = part.len();
        let is_new = releases.change(|queue| match queue.alive.entry(number) {
            Entry::Vacant(entry) => {
                entry.insert((bytes, Instant::now()));
                true
            }
            Entry::Occupied(_) => false,
        });
        let is_ended = AtomicBool::new(false);
        is_new.then(|| Self { number, part, segment, is_private, releases, is_ended })
    }

    /// The number, if the lease belongs to the connection of this queue.
    pub(crate) fn number_for(&self, releases: &Arc<Releases>) -> Option<u64> {
        Arc::ptr_eq(&self.releases, releases).then_some(self.number)
    }

    /// Offsets of the leased part in its segment.
    pub(crate) fn part(&self) -> &Range<usize> {
        &self.part
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Whether the holder has written to private pages, which the lender cannot see.
    pub(crate) fn has_private_writes(&self) -> bool {
        self.is_private && self.segment.has_writes(self.part.clone())
    }

    /// Whether a forked child may read the leased bytes.
    pub(crate) fn is_held(&self) -> bool {
        self.releases.holds(self.number)
    }

    /// Marks the lease as ended by a message that is being sent; dropping it then queues nothing.
    pub(crate) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_ended.load(Ordering::Acquire) {
            if !self.releases.generation.is_past() {
                self.releases.change(|queue| queue.alive.remove(&self.number));
            }
            return;
        }
        let private = self.is_private.then(|| (Arc::clone(&self.segment), self.part.clone()));
        let bytes = self.part.len().max(1);
        self.releases.push(Released { lease: self.number, bytes, private });
    }
}
