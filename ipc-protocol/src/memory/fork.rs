//! Forks: what a process shares with its parent is the parent's to manage, so whatever was made
//! before a fork does nothing in the child; and what the child writes is its own, as with ordinary
//! memory. What was alive at a fork the parent does not use again while the child may look at it.

use std::cell::RefCell;
use std::io::{PipeReader, PipeWriter, pipe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::segment::Segment;

static GENERATION: AtomicU64 = AtomicU64::new(0);
/// How often this process has forked.
static FORKS: AtomicU64 = AtomicU64::new(0);
/// Every segment that is mapped: a fork copies them all, so the list is the process's.
static MAPPED: Mutex<Mapped> = Mutex::new(Mapped {
    segments: Vec::new(),
    tidy_at: 64,
    unborn: None,
    children: Vec::new(),
    has_unwatched: false,
});

struct Mapped {
    segments: Vec<Weak<Segment>>,
    /// Length at which segments that are gone leave the list.
    tidy_at: usize,
    /// Both ends of the pipe of the child that is being forked.
    unborn: Option<(PipeReader, PipeWriter)>,
    /// Pipes whose other ends are open in children, and in theirs, until they end or run another
    /// program.
    children: Vec<PipeReader>,
    /// No pipe could be made for a child.
    has_unwatched: bool,
}

thread_local! {
    /// Holds the list still while this thread forks: the child has no thread that could let it go.
    static HELD: RefCell<Option<MutexGuard<'static, Mapped>>> = const { RefCell::new(None) };
}

fn mapped() -> MutexGuard<'static, Mapped> {
    MAPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has a segment become the child's own in a child.
pub(super) fn watch(segment: &Arc<Segment>) {
    let mut mapped = mapped();
    if mapped.segments.len() >= mapped.tidy_at {
        mapped.segments.retain(|segment| segment.strong_count() > 0);
        mapped.tidy_at = 64.max(2 * mapped.segments.len());
    }
    mapped.segments.push(Arc::downgrade(segment));
}

/// How often this process has forked: what was alive when this was less may be seen by children.
pub(super) fn count() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Whether children of this process may look at what they inherited.
pub(super) fn has_children() -> bool {
    // While another thread has the list, there may be one more in a moment.
    let Ok(mut mapped) = MAPPED.try_lock() else { return true };
    mapped.children.retain(|child| !is_closed(child));
    mapped.has_unwatched || !mapped.children.is_empty()
}

fn is_closed(pipe: &PipeReader) -> bool {
    let mut fds = [PollFd::new(pipe, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // Nothing is ever written to it.
    poll(&mut fds, Some(&now)).is_ok() && !fds[0].revents().is_empty()
}

/// To be called before a fork, by the thread that forks, where other threads run meanwhile.
/// [`forked_parent`] or [`forked_child`] has to follow on that thread.
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

/// To be called in the parent after a fork.
pub fn forked_parent() {
    if let Some(mut mapped) = HELD.take()
        && let Some((child, _)) = mapped.unborn.take()
    {
        mapped.children.push(child);
    }
}

/// To be called in the child after a fork: arenas, leases and names that it inherited give nothing
/// and take nothing back from now on, and what it writes to their memory nobody else sees.
pub fn forked_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // Where all threads stood still at the fork, none of them holds the list.
    if let Some(mut mapped) = HELD.take().or_else(|| MAPPED.try_lock().ok()) {
        for segment in std::mem::take(&mut mapped.segments) {
            // Without it the memory stays shared; the child is told nothing it could act on.
            let _stays_shared = segment.upgrade().map(|segment| segment.become_private());
        }
        if let Some((_, parent)) = mapped.unborn.take() {
            // It closes when this process ends, which is what the parent waits for.
            std::mem::forget(parent);
        }
        mapped.children.clear();
        mapped.has_unwatched = false;
    }
}

/// When something was made, counted in forks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Generation(u64);

impl Default for Generation {
    /// The present one.
    fn default() -> Self {
        Self(GENERATION.load(Ordering::Relaxed))
    }
}

impl Generation {
    /// Whether the process has been forked off since.
    pub(super) fn is_past(self) -> bool {
        self.0 != GENERATION.load(Ordering::Relaxed)
    }
}
