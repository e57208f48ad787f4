//! The shared memory of one connection, seen from one side: what this side lends and has lent,
//! which segments each knows of. Payloads of messages are placed in shared memory before they are
//! encoded (`place`) and looked up after they are decoded (`resolve`). The memory itself is `memory`'s
//! business, sockets are the links'.

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
use state::State;

pub use state::Loan;

/// One side of a connection's shared memory.
#[derive(Debug)]
pub struct Exchange {
    terms: MemoryTerms,
    arena: Arena,
    releases: Arc<Releases>,
    state: Mutex<State>,
    /// This side outlives the other, and holds it to what was agreed on.
    is_orchestrator: bool,
    /// The caller has been told that shared memory is not available.
    has_told_of_failure: AtomicBool,
    /// [`Segment::gone`] when it was last made sure that the peer maps none of them.
    told_gone: AtomicUsize,
}

/// A loan in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseReport {
    /// The node that the bytes were sent to, where that is known.
    pub holder: Option<Arc<str>>,
    /// Bytes that it pins.
    pub bytes: usize,
    /// For how long.
    pub age: Duration,
}

/// A message that has to go before the one that was placed.
#[derive(Debug)]
pub struct Announcement {
    /// The news.
    pub share: Share,
    /// The descriptor that goes with its first byte.
    pub descriptor: Option<OwnedFd>,
}

/// What placing a message's payloads came to. Placements of a connection are sent, or undone, one
/// after the other: each counts on what the ones before it announced.
#[derive(Debug, Default)]
pub struct Placement {
    /// What has to be sent first, in order.
    pub announcements: Vec<Announcement>,
    /// What happened to the memory.
    pub traffic: Traffic,
    /// The node that keeps so many inputs that it was given a copy, with the bytes that it keeps.
    pub over_quota: Option<(Arc<str>, usize)>,
    /// Why shared memory was refused, the first time that it happens on a connection.
    pub failure: Option<io::Error>,
    loans: Vec<u64>,
    ended: Vec<u64>,
}

impl Exchange {
    /// A connection's shared memory on these terms. `is_orchestrator` says which side this is.
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was agreed on.
    #[must_use]
    pub fn terms(&self) -> &MemoryTerms {
        &self.terms
    }

    /// The memory that this side writes.
    #[must_use]
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// The leases of the peer that are to be given back.
    #[must_use]
    pub fn releases(&self) -> &Arc<Releases> {
        &self.releases
    }

    /// Turns one whole frame into the message in it, as [`codec::decode`] does, with its payloads in
    /// shared memory looked up.
    ///
    /// # Errors
    /// As [`codec::decode`], and when the message refers to memory that the peer may not lend.
    pub fn decode<M: Message>(
        &self,
        frame: Bytes,
        limits: &Limits,
    ) -> Result<(M, Traffic), CodecError> {
        let mut message = codec::decode_unresolved(frame, limits)?;
        let traffic = self.resolve(&mut message, limits)?;
        Ok((message, traffic))
    }

    /// The news that wait: leases to give back, segments that are gone.
    #[must_use]
    pub fn pending_news(&self) -> Vec<Announcement> {
        let mut news = Vec::new();
        let (leases, _) = self.releases.take();
        if !leases.is_empty() {
            news.push(Announcement { share: Share::Release(leases), descriptor: None });
        }
        // One that goes from here on is told of the next time.
        self.told_gone.store(Segment::gone(), Ordering::Relaxed);
        news.extend(self.lock().take_detached());
        news
    }

    /// Whether there are leases to give back, or segments gone, which stay in memory until the peer
    /// is told; quick.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.releases.end_needless_hold();
        !self.releases.is_empty() || self.has_gone()
    }

    /// Whether a segment is gone that the peer still maps.
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

    /// Takes in news from the peer, with the descriptor that came with them. Gives the answer that
    /// has to be sent, if there is one.
    ///
    /// # Errors
    /// [`LeaseError`]: the peer is not to be trusted any further.
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
                    // A name that stays until the segment goes is a blemish, not a fault.
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

    /// Takes back what a placement did, when its message could not be sent. Announcements that are
    /// still in it count as not sent.
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

    /// The process forks, or its session is over: see [`Releases::hold`] and
    /// [`Arena::hold_for_fork`].
    pub fn hold_for_fork(&self, is_held: bool) {
        self.releases.hold(is_held);
        if is_held {
            self.arena.hold_for_fork();
        } else {
            self.arena.end_fork_hold();
        }
    }

    /// How much memory this side has made.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        self.arena.stats()
    }

    /// Length of the peer's segments that are mapped here, in bytes.
    #[must_use]
    pub fn mapped_bytes(&self) -> u64 {
        self.lock().peer.mapped_bytes()
    }

    /// What the peer looks at, oldest first.
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
