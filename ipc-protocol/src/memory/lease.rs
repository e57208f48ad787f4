//! Leases on a peer's blocks, and how they go back: dropping one only puts its number into a
//! queue, which the connection empties when it sends something or has idled for a while.

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

/// Leases that are to be given back over one connection.
#[derive(Default)]
pub struct Releases {
    queue: Mutex<Queue>,
    /// Whether the queue gives something now, to be read without the lock. Sequentially consistent:
    /// either who says that it will wait and then looks here sees what was pushed, or the waker,
    /// which is called after it was set, sees that a thread waits.
    gives: AtomicBool,
    /// Whether leases are alive, to be read without the lock.
    has_alive: AtomicBool,
    /// Whether leases are held for children, to be read without the lock.
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
    /// Leases that are alive, with the bytes that each pins and since when.
    alive: BTreeMap<u64, (usize, Instant)>,
    released: Vec<Released>,
    /// Bytes of the blocks in the queue.
    bytes: usize,
    /// Leases that were alive when the process forked, with what is to be given back of them when
    /// its children cannot look any more.
    held: BTreeMap<u64, Option<Released>>,
    /// They are held until it is said that they need not be, not only for children.
    is_held: bool,
    /// [`fork::count`] when that was last looked for.
    forks: u64,
}

impl Queue {
    /// Holds what is alive if the process has forked: nothing has changed here since.
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
    /// The part of a private mapping that the holder may have written.
    private: Option<(Arc<Segment>, Range<usize>)>,
}

impl Releases {
    /// Changes the queue. Has the connection woken when it passes the limit of the waker by that.
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

    /// Has `wake` called whenever more than `bytes` wait to be given back and nothing is on its
    /// way. Only the first call has effect.
    pub fn set_waker(&self, bytes: usize, wake: impl Fn() + Send + Sync + 'static) {
        let _first_stays = self.waker.set(Waker { bytes, wake: Box::new(wake) });
    }

    fn push(&self, released: Released) {
        // In a forked child the lock may be held for ever, and the lease is the parent's.
        if !self.generation.is_past() {
            self.change(|queue| {
                queue.alive.remove(&released.lease);
                queue.release(released);
            });
        }
    }

    /// Whether leases are alive that will be given back over this connection; quick.
    #[must_use]
    pub fn is_outstanding(&self) -> bool {
        self.has_alive.load(Ordering::Acquire)
    }

    /// The leases that are alive: the bytes that each pins, and for how long. Oldest first.
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

    /// Puts leases back into the queue whose end was not told after all.
    pub(crate) fn give_back(&self, leases: Vec<u64>) {
        for lease in leases {
            self.push(Released { lease, bytes: 1, private: None });
        }
    }

    /// Whether nothing is to be given back now; quick.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.gives.load(Ordering::SeqCst) || self.generation.is_past()
    }

    /// What is alive now is not given back, or it may be again. A fork holds it by itself, for as
    /// long as there are children.
    pub fn hold(&self, is_held: bool) {
        if !self.generation.is_past() {
            self.change(|queue| {
                queue.is_held = is_held;
                if is_held { queue.hold() } else { queue.end_hold() }
            });
        }
    }

    /// Gives up what is held for children that have ended; quick where nothing is.
    pub(crate) fn end_needless_hold(&self) {
        if self.has_held.load(Ordering::Acquire)
            && !self.generation.is_past()
            && !fork::has_children()
        {
            self.change(Queue::end_hold);
        }
    }

    /// Whether children may look at what this lease is for.
    fn holds(&self, lease: u64) -> bool {
        self.change(|queue| queue.held.contains_key(&lease))
    }

    /// The numbers of the leases that are given back now, with the bytes that the kernel had
    /// copied because their holders wrote to them.
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
                // A block whose old writes cannot be forgotten is never used again.
                copied += segment.forget_writes(part).ok()?;
            }
            Some(released.lease)
        };
        let numbers = taken.into_iter().filter_map(number).collect();
        (numbers, copied)
    }
}

/// The right to look at a peer's block. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Lease {
    number: u64,
    part: Range<usize>,
    segment: Arc<Segment>,
    is_private: bool,
    releases: Arc<Releases>,
    /// Set when the lease ends by another message than a release.
    is_ended: AtomicBool,
}

impl Lease {
    /// The lease with this number; `None` when there is one already.
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

    /// The number, if the lease came over the connection with this queue.
    pub(crate) fn number_for(&self, releases: &Arc<Releases>) -> Option<u64> {
        Arc::ptr_eq(&self.releases, releases).then_some(self.number)
    }

    /// Where the leased part lies in its segment.
    pub(crate) fn part(&self) -> &Range<usize> {
        &self.part
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Whether its holder wrote to pages of its own, which the lender cannot see.
    pub(crate) fn has_private_writes(&self) -> bool {
        self.is_private && self.segment.has_writes(self.part.clone())
    }

    /// Whether a forked child may look at it.
    pub(crate) fn is_held(&self) -> bool {
        self.releases.holds(self.number)
    }

    /// It ends with a message that is being sent; dropping it then does nothing.
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
