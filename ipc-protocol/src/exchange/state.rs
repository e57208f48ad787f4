//! Bookkeeping of an exchange: segments that were announced and bytes that were lent to the peer.
//! Without locks; the exchange locks it.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::peer::PeerSegments;
use super::{Announcement, LeaseReport};
use crate::array::LeaseTerms;
use crate::memory::{Segment, SharedBytes, Ticket, page_bytes};
use crate::share::{Attach, Share};

#[derive(Debug, Default)]
pub(super) struct ExchangeState {
    /// Segments that the peer knows, by [`Segment::id`].
    announced: HashMap<u64, Announced>,
    next_segment: u32,
    loans: HashMap<u64, Loan>,
    /// Loans in segments that the peer maps privately, by [`Segment::id`].
    forwarded: HashMap<u64, Vec<Forwarded>>,
    /// Bytes lent to each node.
    pinned: HashMap<Arc<str>, usize>,
    next_lease: u64,
    /// Segments that the peer announced.
    pub(super) peer: PeerSegments,
}

#[derive(Debug)]
struct Announced {
    number: u32,
    segment: Weak<Segment>,
}

impl Announced {
    fn is_gone(&self) -> bool {
        self.segment.strong_count() == 0
    }
}

#[derive(Debug)]
struct Forwarded {
    lease: u64,
    pages: Range<usize>,
    is_writable: bool,
}

/// Bytes that are lent to the peer.
#[derive(Debug)]
pub struct Loan {
    pub(super) bytes: SharedBytes,
    holder: Option<Arc<str>>,
    since: Instant,
}

impl Loan {
    pub(super) fn report(&self, now: Instant) -> LeaseReport {
        LeaseReport {
            holder: self.holder.clone(),
            bytes: self.bytes.len(),
            age: now.saturating_duration_since(self.since),
        }
    }
}

impl Forwarded {
    fn new(lease: u64, bytes: &SharedBytes, terms: LeaseTerms) -> Self {
        let end = bytes.offset() + bytes.len();
        let pages = bytes.offset() / page_bytes()..end.div_ceil(page_bytes());
        Self { lease, pages, is_writable: terms == LeaseTerms::Writable }
    }

    /// Whether writes under one lease could affect the other: the peer sees both through the same
    /// private pages, and a page loses all its writes when either lease ends.
    fn disturbs(&self, other: &Self) -> bool {
        (self.is_writable || other.is_writable)
            && self.pages.start < other.pages.end
            && other.pages.start < self.pages.end
    }
}

impl ExchangeState {
    pub(super) fn loans(&self) -> impl Iterator<Item = &Loan> {
        self.loans.values()
    }

    /// Number of bytes that are lent to a node.
    pub(super) fn pinned(&self, holder: &str) -> usize {
        self.pinned.get(holder).copied().unwrap_or(0)
    }

    /// Ends a loan. The caller drops it after releasing the lock; its bytes may then be reused.
    pub(super) fn end_loan(&mut self, lease: u64) -> Option<Loan> {
        let loan = self.loans.remove(&lease)?;
        if let Some(holder) = &loan.holder
            && let Some(pinned) = self.pinned.get_mut(holder)
        {
            *pinned = pinned.saturating_sub(loan.bytes.len());
            if *pinned == 0 {
                self.pinned.remove(holder);
            }
        }
        let segment = loan.bytes.segment().id();
        if let Some(forwarded) = self.forwarded.get_mut(&segment) {
            forwarded.retain(|other| other.lease != lease);
            if forwarded.is_empty() {
                self.forwarded.remove(&segment);
            }
        }
        Some(loan)
    }

    /// Whether a loan of these bytes, in a segment that the peer maps privately, would share a
    /// written page with another loan: writes of one could show in the other, or be lost when one
    /// ends.
    pub(super) fn is_disturbed(&self, bytes: &SharedBytes, terms: LeaseTerms) -> bool {
        let new = Forwarded::new(0, bytes, terms);
        let others = self.forwarded.get(&bytes.segment().id());
        others.is_some_and(|others| others.iter().any(|other| other.disturbs(&new)))
    }

    /// Records a loan of these bytes to the peer; returns the number of the lease.
    pub(super) fn lend(
        &mut self,
        bytes: SharedBytes,
        holder: Option<Arc<str>>,
        terms: LeaseTerms,
        is_paired: bool,
    ) -> u64 {
        self.next_lease += 1;
        if let Some(holder) = &holder {
            *self.pinned.entry(Arc::clone(holder)).or_default() += bytes.len();
        }
        if !is_paired {
            let forwarded = Forwarded::new(self.next_lease, &bytes, terms);
            self.forwarded.entry(bytes.segment().id()).or_default().push(forwarded);
        }
        self.loans.insert(self.next_lease, Loan { bytes, holder, since: Instant::now() });
        self.next_lease
    }

    /// Number of a segment for the peer, with the announcement to send if the peer does not know
    /// the segment yet.
    pub(super) fn announce(
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
            Ticket::Heap(memory) => (Some(memory.name()), None),
        };
        let number = self
            .next_segment
            .checked_add(1)
            .ok_or_else(|| io::Error::other("all segment numbers of the connection are used up"))?;
        self.next_segment = number;
        let attach = Attach { segment: number, bytes: segment.bytes() as u64, name, is_paired };
        let known = Announced { number, segment: Arc::downgrade(segment) };
        self.announced.insert(segment.id(), known);
        Ok((number, Some(Announcement { share: Share::Attach(attach), descriptor })))
    }

    /// Forgets an announcement that was not sent.
    pub(super) fn forget_announcement(&mut self, number: u32) {
        self.announced.retain(|_, known| known.number != number);
    }

    /// A segment that the peer knows, if this side has not dropped it.
    pub(super) fn known_segment(&self, number: u32) -> Option<Arc<Segment>> {
        self.announced.values().find(|known| known.number == number)?.segment.upgrade()
    }

    /// Whether the peer knows a segment that this side has dropped.
    pub(super) fn has_detached(&self) -> bool {
        self.announced.values().any(Announced::is_gone)
    }

    /// Takes the segments that the peer knows and this side has dropped, as messages to send.
    pub(super) fn take_detached(&mut self) -> Vec<Announcement> {
        let gone = self.announced.extract_if(|_, known| known.is_gone());
        let detach = |known: Announced| Announcement {
            share: Share::Detach(known.number),
            descriptor: None,
        };
        gone.map(|(_, known)| detach(known)).collect()
    }
}
