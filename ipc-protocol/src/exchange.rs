//! The shared memory of one connection, seen from one side: the bytes that are lent, and the
//! segments that each side knows. Payloads are placed in shared memory before a message is encoded
//! (`place`) and looked up after it is decoded (`resolve`). `memory` manages the memory itself; the
//! sockets belong to the links.

mod peer;
mod place;
mod resolve;
mod state;
#[cfg(all(test, loom))]
mod tests;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::codec;
use crate::error::{CodecError, LeaseError};
use crate::from_worker::Traffic;
use crate::limits::Limits;
use crate::memory::sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard};
use crate::memory::{Arena, ArenaOptions, ArenaStats, Releases, Segment};
use crate::share::{MemoryTerms, Share};
use crate::visit::Message;
use state::ExchangeState;

pub use state::Loan;

/// One side of a connection's shared memory.
#[derive(Debug)]
pub struct Exchange {
    terms: MemoryTerms,
    arena: Arena,
    releases: Arc<Releases>,
    state: Mutex<ExchangeState>,
    /// True for the orchestrator, which enforces the agreed limits on the worker.
    is_orchestrator: bool,
    /// True once a failure was reported in [`Placement::failure`]; later ones are not reported.
    has_told_of_failure: AtomicBool,
    /// [`Segment::gone`] at the last check for dropped segments that the peer still maps; while the
    /// count is the same, no check is needed.
    told_gone: AtomicUsize,
}

/// Bytes that are lent to the peer under one lease, as reported to users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseReport {
    /// The node that the bytes were sent to, if known.
    pub holder: Option<Arc<str>>,
    /// Number of lent bytes.
    pub bytes: usize,
    /// Time since the bytes were lent.
    pub age: Duration,
}

/// A message about shared memory, to be sent before the message whose payloads were placed.
#[derive(Debug)]
pub struct Announcement {
    /// Content of the message.
    pub share: Share,
    /// Descriptor to send with the first byte of the message's frame.
    pub descriptor: Option<OwnedFd>,
}

/// Result of [`Exchange::place`] for one message. The placements of a connection must be sent or
/// undone in their order, because each relies on the segments that earlier ones announced.
#[derive(Debug, Default)]
pub struct Placement {
    /// Messages to send first, in this order.
    pub announcements: Vec<Announcement>,
    /// How the payloads travel.
    pub traffic: Traffic,
    /// Set when a node gets a copy because it keeps too many inputs: the node and the number of
    /// bytes that it keeps.
    pub over_quota: Option<(Arc<str>, usize)>,
    /// Why shared memory could not be used; set only for the first failure on a connection.
    pub failure: Option<io::Error>,
    loans: Vec<u64>,
    ended: Vec<u64>,
}

impl Exchange {
    /// One side of a connection's shared memory on these terms. `is_orchestrator` is true on the
    /// orchestrator's side.
    #[must_use]
    pub fn new(terms: MemoryTerms, is_orchestrator: bool) -> Self {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let arena = Arena::new(ArenaOptions {
            kind: terms.kind,
            ring_bytes: size(terms.ring_bytes),
            ring_block_max_bytes: size(terms.ring_block_max_bytes),
            max_bytes: size(terms.max_bytes),
            idle_max_bytes: size(terms.idle_max_bytes),
        });
        Self {
            terms,
            arena,
            releases: Arc::default(),
            state: Mutex::default(),
            is_orchestrator,
            has_told_of_failure: AtomicBool::new(false),
            told_gone: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, ExchangeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The terms that both sides agreed on.
    #[must_use]
    pub fn terms(&self) -> &MemoryTerms {
        &self.terms
    }

    /// The memory in which this side allocates.
    #[must_use]
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// The queue of leases to return to the peer.
    #[must_use]
    pub fn releases(&self) -> &Arc<Releases> {
        &self.releases
    }

    /// Decodes the message of one whole frame, as [`codec::decode`] does, and looks up its payloads
    /// in shared memory.
    ///
    /// # Errors
    /// As [`codec::decode`], and when the message breaks the rules of shared memory.
    pub fn decode<M: Message>(
        &self,
        frame: Bytes,
        limits: &Limits,
    ) -> Result<(M, Traffic), CodecError> {
        let mut message = codec::decode_unresolved(frame, limits)?;
        let traffic = self.resolve(&mut message, limits)?;
        Ok((message, traffic))
    }

    /// Takes the messages that wait for the peer: leases to return, and segments that were dropped.
    #[must_use]
    pub fn pending_news(&self) -> Vec<Announcement> {
        let mut news = Vec::new();
        let (leases, _) = self.releases.take();
        if !leases.is_empty() {
            news.push(Announcement { share: Share::Release(leases), descriptor: None });
        }
        // A segment that is dropped after this line is reported by the next call.
        self.told_gone.store(Segment::gone(), Ordering::Relaxed);
        news.extend(self.lock().take_detached());
        news
    }

    /// Whether leases can be returned, or dropped segments be detached: their memory stays in use
    /// until the peer gets the message. Quick.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.releases.end_needless_hold();
        !self.releases.is_empty() || self.has_gone()
    }

    /// Whether this side has dropped a segment that the peer still maps.
    fn has_gone(&self) -> bool {
        let gone = Segment::gone();
        if self.told_gone.load(Ordering::Relaxed) == gone {
            return false;
        }
        let has_gone = self.lock().has_detached();
        if !has_gone {
            self.told_gone.store(gone, Ordering::Relaxed);
        }
        has_gone
    }

    /// Handles a message about shared memory from the peer, with the descriptor that came with it.
    /// Returns the answer to send, if there is one.
    ///
    /// # Errors
    /// [`LeaseError`] when the peer broke the rules; the connection must then be ended.
    pub fn handle(
        &self,
        share: Share,
        descriptor: Option<OwnedFd>,
    ) -> Result<Option<Share>, LeaseError> {
        match share {
            Share::Attach(attach) => self.attach(attach, descriptor),
            Share::Attached(number) => {
                let segment = self.lock().known_segment(number);
                if let Some(segment) = segment {
                    // If removing the name fails, the name stays until the segment is dropped; that
                    // does no harm.
                    let _stays = segment.seal();
                }
                Ok(None)
            }
            Share::Detach(number) => {
                let gone = self.lock().peer.detach(number);
                gone.map(|_| None).ok_or(LeaseError::UnknownSegment { segment: number })
            }
            Share::Release(leases) => {
                let mut state = self.lock();
                let ended: Vec<_> =
                    leases.into_iter().map(|lease| (lease, state.end_loan(lease))).collect();
                drop(state);
                let unknown = ended.iter().find(|(_, loan)| loan.is_none());
                unknown
                    .map_or(Ok(None), |(lease, _)| Err(LeaseError::UnknownLease { lease: *lease }))
            }
        }
    }

    /// Reverts a placement whose message could not be sent. Announcements that are still in it are
    /// taken as not sent.
    pub fn undo(&self, placement: Placement) {
        let mut state = self.lock();
        let loans: Vec<_> =
            placement.loans.iter().filter_map(|lease| state.end_loan(*lease)).collect();
        for announcement in &placement.announcements {
            if let Share::Attach(attach) = &announcement.share {
                state.forget_announcement(attach.segment);
            }
        }
        drop(state);
        drop(loans);
        self.releases.give_back(placement.ended);
    }

    /// Called with true before the process forks, with false when its session has ended: holds
    /// memory that a child may read, or ends the hold. See [`Releases::hold`] and
    /// [`Arena::hold_for_fork`].
    pub fn hold_for_fork(&self, is_held: bool) {
        self.releases.hold(is_held);
        if is_held {
            self.arena.hold_for_fork();
        } else {
            self.arena.end_fork_hold();
        }
    }

    /// Sizes of the memory that this side has made.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        self.arena.stats()
    }

    /// Total length of the peer's segments that this side maps, in bytes.
    #[must_use]
    pub fn mapped_bytes(&self) -> u64 {
        self.lock().peer.mapped_bytes()
    }

    /// Bytes of each lease that the peer has, oldest first.
    #[must_use]
    pub fn loans(&self) -> Vec<LeaseReport> {
        let now = Instant::now();
        let mut reports: Vec<_> = self.lock().loans().map(|loan| loan.report(now)).collect();
        reports.sort_by_key(|report| std::cmp::Reverse(report.age));
        reports
    }

    fn tells_of_failure(&self) -> bool {
        !self.has_told_of_failure.swap(true, Ordering::Relaxed)
    }
}
