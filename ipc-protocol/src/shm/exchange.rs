//! The shared memory of one connection, seen from one side: what this side lends and has lent,
//! which segments each knows of. Payloads of messages are placed in shared memory before they are
//! encoded (`place`) and looked up after they are decoded (`resolve`).

mod place;
mod resolve;

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::arena::{Arena, ArenaOptions, ArenaStats};
use super::lease::Releases;
use super::segment::{Access, Segment, SegmentKind, Ticket};
use super::shared::SharedBytes;
use crate::error::LeaseError;
use crate::from_worker::Traffic;
use crate::share::{Attach, MemoryTerms, Share};

/// The peer may have mapped this many times the agreed memory: a segment that it gave up is
/// unmapped here only with its next message.
const MAPPED_OVER_AGREED: u64 = 2;

/// One side of a connection's shared memory.
#[derive(Debug)]
pub struct Exchange {
    terms: MemoryTerms,
    arena: Arena,
    releases: Arc<Releases>,
    state: Mutex<State>,
    /// This side made the memory of the connection's other peers too, and checks what comes.
    is_orchestrator: bool,
    /// The caller has been told that shared memory cannot be had.
    has_told_of_failure: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Segments that the peer knows, by their number in this process.
    announced: HashMap<u64, Announced>,
    next_segment: u32,
    loans: HashMap<u64, Loan>,
    /// Bytes lent to each node.
    pinned: HashMap<Arc<str>, usize>,
    next_lease: u64,
    /// The peer's segments, by its numbers.
    mapped: HashMap<u32, Mapped>,
    mapped_bytes: u64,
}

#[derive(Debug)]
struct Announced {
    number: u32,
    segment: Weak<Segment>,
}

#[derive(Debug)]
struct Mapped {
    segment: Arc<Segment>,
    is_private: bool,
}

/// Bytes that the peer may look at.
#[derive(Debug)]
pub struct Loan {
    bytes: SharedBytes,
    holder: Option<Arc<str>>,
    since: Instant,
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

/// What placing a message's payloads came to.
#[derive(Debug, Default)]
pub struct Placement {
    /// What has to be sent first, in order.
    pub announcements: Vec<Announcement>,
    /// What happened to the memory.
    pub traffic: Traffic,
    /// The node that keeps so many inputs that it was given a copy, with the bytes that it keeps.
    pub over_quota: Option<(Arc<str>, usize)>,
    /// Why shared memory could not be had, the first time that it happens on a connection.
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

    /// The news that wait: leases to give back, segments that are gone.
    #[must_use]
    pub fn pending_news(&self) -> Vec<Announcement> {
        let mut news = Vec::new();
        let (leases, _) = self.releases.take();
        if !leases.is_empty() {
            news.push(Announcement { share: Share::Release(leases), descriptor: None });
        }
        news.extend(self.lock().take_detached());
        news
    }

    /// Whether [`Exchange::pending_news`] would give something; quick.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.releases.is_empty()
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
                let state = self.lock();
                let known = state.announced.values().find(|known| known.number == number);
                if let Some(segment) = known.and_then(|known| known.segment.upgrade()) {
                    // A name that stays until the segment goes is a blemish, not a fault.
                    let _stays = segment.seal();
                }
                Ok(None)
            }
            Share::Detach(number) => {
                let gone = self.lock().unmap(number);
                gone.map(|_| None).ok_or(LeaseError::UnknownSegment { segment: number })
            }
            Share::Release(leases) => {
                let mut ended = Vec::with_capacity(leases.len());
                let mut state = self.lock();
                for lease in leases {
                    let loan = state.end_loan(lease);
                    ended.push(loan.ok_or(LeaseError::UnknownLease { lease })?);
                }
                drop(state);
                Ok(None)
            }
        }
    }

    fn attach(
        &self,
        attach: Attach,
        descriptor: Option<OwnedFd>,
    ) -> Result<Option<Share>, LeaseError> {
        let Attach { segment: number, bytes, name, is_paired } = attach;
        let mut state = self.lock();
        if state.mapped.contains_key(&number) {
            return Err(LeaseError::SegmentTwice { segment: number });
        }
        let limit = self.terms.max_bytes.saturating_mul(MAPPED_OVER_AGREED);
        let mapped = state.mapped_bytes.saturating_add(bytes);
        if self.is_orchestrator && mapped > limit {
            return Err(LeaseError::TooMuch { bytes: mapped, limit });
        }
        let has_name = name.is_some();
        let ticket = match (name, descriptor) {
            (Some(name), _) => Ticket::Name(name),
            (None, Some(descriptor)) => Ticket::Descriptor(descriptor),
            (None, None) => return Err(LeaseError::NoDescriptor { segment: number }),
        };
        let access = if is_paired { Access::Shared } else { Access::Private };
        let unmappable = |source| LeaseError::Unmappable { segment: number, bytes, source };
        let length =
            usize::try_from(bytes).map_err(|_| unmappable(io::ErrorKind::InvalidInput.into()))?;
        let segment = Segment::open(ticket, length, access).map_err(unmappable)?;
        if self.is_orchestrator && !has_name {
            segment.seal().map_err(unmappable)?;
        }
        state.mapped.insert(number, Mapped { segment, is_private: !is_paired });
        state.mapped_bytes = mapped;
        Ok(has_name.then_some(Share::Attached(number)))
    }

    /// Takes back what a placement did, when its message could not be sent.
    pub fn undo(&self, placement: Placement) {
        let mut state = self.lock();
        let loans: Vec<_> =
            placement.loans.iter().filter_map(|lease| state.end_loan(*lease)).collect();
        drop(state);
        drop(loans);
        self.releases.give_back(placement.ended);
    }

    /// The process has forked, or its session is over: see [`Releases::hold`] and
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
        self.lock().mapped_bytes
    }

    /// What the peer looks at, oldest first.
    #[must_use]
    pub fn loans(&self) -> Vec<LeaseReport> {
        let now = Instant::now();
        let report = |loan: &Loan| LeaseReport {
            holder: loan.holder.clone(),
            bytes: loan.bytes.len(),
            age: now.duration_since(loan.since),
        };
        let mut reports: Vec<_> = self.lock().loans.values().map(report).collect();
        reports.sort_by_key(|report| std::cmp::Reverse(report.age));
        reports
    }

    fn tells_of_failure(&self) -> bool {
        !self.has_told_of_failure.swap(true, Ordering::Relaxed)
    }
}

impl State {
    /// Bytes that a node keeps.
    fn pinned(&self, holder: &str) -> usize {
        self.pinned.get(holder).copied().unwrap_or(0)
    }

    /// The loan ends; its bytes may be used again when it is dropped.
    fn end_loan(&mut self, lease: u64) -> Option<Loan> {
        let loan = self.loans.remove(&lease)?;
        if let Some(pinned) = loan.holder.as_ref().and_then(|holder| self.pinned.get_mut(holder)) {
            *pinned = pinned.saturating_sub(loan.bytes.len());
        }
        Some(loan)
    }

    /// Notes that the peer may look at these bytes: the number of the lease.
    fn lend(&mut self, bytes: SharedBytes, holder: Option<Arc<str>>) -> u64 {
        self.next_lease += 1;
        if let Some(holder) = &holder {
            match self.pinned.get_mut(holder) {
                Some(pinned) => *pinned += bytes.len(),
                None => {
                    self.pinned.insert(Arc::clone(holder), bytes.len());
                }
            }
        }
        self.loans.insert(self.next_lease, Loan { bytes, holder, since: Instant::now() });
        self.next_lease
    }

    /// The number of a segment for the peer, with the announcement if it does not know it yet.
    fn announce(
        &mut self,
        segment: &Arc<Segment>,
        is_paired: bool,
    ) -> io::Result<(u32, Option<Announcement>)> {
        if let Some(known) = self.announced.get(&segment.id()) {
            return Ok((known.number, None));
        }
        if !is_paired {
            segment.seal()?;
        }
        let (name, descriptor) = match segment.ticket()? {
            Ticket::Descriptor(descriptor) => (None, Some(descriptor)),
            Ticket::Name(name) => (Some(name), None),
            Ticket::Heap(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        self.next_segment += 1;
        let number = self.next_segment;
        let attach = Attach { segment: number, bytes: segment.bytes() as u64, name, is_paired };
        let known = Announced { number, segment: Arc::downgrade(segment) };
        self.announced.insert(segment.id(), known);
        Ok((number, Some(Announcement { share: Share::Attach(attach), descriptor })))
    }

    /// Segments that the peer knows and that are gone here.
    fn take_detached(&mut self) -> Vec<Announcement> {
        let is_gone = |known: &Announced| known.segment.strong_count() == 0;
        let gone = self.announced.extract_if(|_, known| is_gone(known));
        let detach = |known: Announced| Announcement {
            share: Share::Detach(known.number),
            descriptor: None,
        };
        gone.map(|(_, known)| detach(known)).collect()
    }

    fn unmap(&mut self, number: u32) -> Option<Mapped> {
        let gone = self.mapped.remove(&number)?;
        self.mapped_bytes = self.mapped_bytes.saturating_sub(gone.segment.bytes() as u64);
        Some(gone)
    }
}

/// Whether segments of this kind can go to a third process.
fn forwards(kind: SegmentKind) -> bool {
    kind == SegmentKind::Memfd
}
