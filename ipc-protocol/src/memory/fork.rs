//! Forks. Only the parent manages the shared memory that existed at a fork: in the child, arenas,
//! leases and names made before it do nothing. What the child writes stays its own, as with
//! ordinary memory. The parent does not reuse blocks that were alive at the fork while the child
//! may read them.

use std::cell::RefCell;
use std::io::{PipeReader, PipeWriter, pipe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::segment::Segment;

static GENERATION: AtomicU64 = AtomicU64::new(0);
/// Number of forks of this process at which a segment was mapped.
static FORKS: AtomicU64 = AtomicU64::new(0);
/// All mapped segments of the process, because a fork copies every mapping.
static MAPPED: Mutex<Mapped> = Mutex::new(Mapped {
    segments: Vec::new(),
    tidy_at: 64,
    unborn: None,
    children: Vec::new(),
    has_unwatched: false,
});

struct Mapped {
    segments: Vec<Weak<Segment>>,
    /// Length of the list at which entries of dropped segments are removed.
    tidy_at: usize,
    /// Both ends of a pipe for the child that is being forked.
    unborn: Option<(PipeReader, PipeWriter)>,
    /// One pipe per child. Its other end is open in the child and in the child's own children until
    /// they end or execute another program.
    children: Vec<PipeReader>,
    /// True once no pipe could be made for a child: whether it has ended is then unknown.
    has_unwatched: bool,
}

thread_local! {
    /// The lock of the list while this thread forks. Only this thread exists in the child, so no
    /// other may hold the lock at the fork.
    static HELD: RefCell<Option<MutexGuard<'static, Mapped>>> = const { RefCell::new(None) };
}

fn mapped() -> MutexGuard<'static, Mapped> {
    MAPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a segment, so that a forked child makes its mapping private.
pub(super) fn watch(segment: &Arc<Segment>) {
    let mut mapped = mapped();
    if mapped.segments.len() >= mapped.tidy_at {
        mapped.segments.retain(|segment| segment.strong_count() > 0);
        mapped.tidy_at = 64.max(2 * mapped.segments.len());
    }
    mapped.segments.push(Arc::downgrade(segment));
}

/// Number of forks so far. Children may see blocks and leases that existed when the number was
/// lower.
pub(super) fn count() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Whether forked children may still read shared memory that they inherited.
pub(super) fn has_children() -> bool {
    // Another thread that holds the lock may be forking, so a child may exist in a moment.
    let Ok(mut mapped) = MAPPED.try_lock() else { return true };
    mapped.children.retain(|child| !is_closed(child));
    mapped.has_unwatched || !mapped.children.is_empty()
}

fn is_closed(pipe: &PipeReader) -> bool {
    let mut fds = [PollFd::new(pipe, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // No process writes to the pipe, so any event means that its other end is closed.
    poll(&mut fds, Some(&now)).is_ok() && !fds[0].revents().is_empty()
}

/// To be called before a fork by the thread that forks; needed if other threads run. The same
/// thread must then call [`forked_parent`] or [`forked_child`].
pub fn before_fork() {
    HELD.with_borrow_mut(|held| {
        if held.is_none() {
            let mut mapped = mapped();
            if mapped.segments.iter().any(|segment| segment.strong_count() > 0) {
                FORKS.fetch_add(1, Ordering::Relaxed);
                mapped.unborn = pipe().ok();
                mapped.has_unwatched |= mapped.unborn.is_none();
            }
            *held = Some(mapped);
        }
    });
}

/// To be called in the parent after a fork, by the thread that forked.
pub fn forked_parent() {
    if let Some(mut mapped) = HELD.take()
        && let Some((child, _)) = mapped.unborn.take()
    {
        mapped.children.push(child);
    }
}

/// To be called in the child after a fork. From then on, inherited arenas allocate and free
/// nothing, inherited leases and names are not returned or removed, and no other process sees what
/// the child writes to their memory.
pub fn forked_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // Without `before_fork`, no other thread ran at the fork, so none holds the lock.
    if let Some(mut mapped) = HELD.take().or_else(|| MAPPED.try_lock().ok()) {
        for segment in std::mem::take(&mut mapped.segments) {
            // If this fails, the memory stays shared. The error is dropped, because the child could
            // do nothing about it.
            let _stays_shared = segment.upgrade().map(|segment| segment.become_private());
        }
        if let Some((_, parent)) = mapped.unborn.take() {
            // Kept open on purpose: the system closes it when this process ends, and the parent
            // sees that.
            std::mem::forget(parent);
        }
        mapped.children.clear();
        mapped.has_unwatched = false;
    }
}

/// The process in which something was made: each fork begins a new generation in the child.
#[derive(Debug, Clone, Copy)]
pub(super) struct Generation(u64);

impl Default for Generation {
    /// The generation of this process.
    fn default() -> Self {
        Self(GENERATION.load(Ordering::Relaxed))
    }
}

impl Generation {
    /// Whether this process is a child that was forked after this generation.
    pub(super) fn is_past(self) -> bool {
        self.0 != GENERATION.load(Ordering::Relaxed)
    }
}
