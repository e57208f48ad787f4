//! The peer's segments that this side maps, and the limits on them.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use super::Exchange;
use crate::error::LeaseError;
use crate::memory::{Access, HeapMemory, MAX_SEGMENTS, Segment, SegmentKind, Ticket};
use crate::share::{Attach, Share};

/// The peer's segments here may reach this many times the agreed memory: a segment that the peer
/// has dropped stays mapped here until the peer's next message.
const MAPPED_OVER_AGREED: u64 = 2;
/// Most segments of the peer that may be mapped here: twice its own limit, for the same reason.
const MAX_MAPPED: usize = 2 * MAX_SEGMENTS;

#[derive(Debug, Default)]
pub(super) struct PeerSegments {
    /// Segments that are not detached, by the peer's numbers.
    mapped: HashMap<u32, Mapped>,
    /// Detached segments that this side may still refer to, with their length in bytes.
    lingering: Vec<(Weak<Segment>, u64)>,
}

#[derive(Debug)]
pub(super) struct Mapped {
    pub(super) segment: Arc<Segment>,
    pub(super) is_private: bool,
}

impl PeerSegments {
    pub(super) fn get(&self, number: u32) -> Option<&Mapped> {
        self.mapped.get(&number)
    }

    /// Total length of all mapped segments, in bytes.
    pub(super) fn mapped_bytes(&self) -> u64 {
        let mapped = self.mapped.values().map(|mapped| mapped.segment.bytes() as u64);
        let lingering = self.lingering.iter().filter(|(segment, _)| segment.strong_count() > 0);
        mapped.chain(lingering.map(|(_, bytes)| *bytes)).sum()
    }

    /// Removes a segment that the peer has detached; `None` when the number is unknown.
    pub(super) fn detach(&mut self, number: u32) -> Option<Mapped> {
        let gone = self.mapped.remove(&number)?;
        self.forget_unmapped();
        self.lingering.push((Arc::downgrade(&gone.segment), gone.segment.bytes() as u64));
        Some(gone)
    }

    fn forget_unmapped(&mut self) {
        self.lingering.retain(|(segment, _)| segment.strong_count() > 0);
    }

    /// Checks that the peer may have one more segment, of `bytes`.
    fn check_limits(&mut self, bytes: u64, agreed: u64) -> Result<(), LeaseError> {
        self.forget_unmapped();
        let limit = agreed.saturating_mul(MAPPED_OVER_AGREED);
        let bytes = self.mapped_bytes().saturating_add(bytes);
        if bytes > limit {
            return Err(LeaseError::TooMuch { bytes, limit });
        }
        if self.mapped.len() + self.lingering.len() >= MAX_MAPPED {
            return Err(LeaseError::TooMany { limit: MAX_MAPPED });
        }
        Ok(())
    }
}

impl Exchange {
    /// Maps a segment that the peer announces. Returns the answer to send, if the peer waits for
    /// one.
    pub(super) fn attach(
        &self,
        attach: Attach,
        descriptor: Option<OwnedFd>,
    ) -> Result<Option<Share>, LeaseError> {
        let Attach { segment: number, bytes, name, is_paired } = attach;
        let mut state = self.lock();
        if state.peer.mapped.contains_key(&number) {
            return Err(LeaseError::SegmentTwice { segment: number });
        }
        if self.is_orchestrator {
            state.peer.check_limits(bytes, self.terms.max_bytes)?;
        }
        let unmappable = |source| LeaseError::Unmappable { segment: number, bytes, source };
        let invalid = || unmappable(io::ErrorKind::InvalidInput.into());
        let length = usize::try_from(bytes).map_err(|_| invalid())?;
        // Only the agreed kind is accepted, because the guarantees of the kinds differ.
        let ticket = match self.terms.kind {
            SegmentKind::Memfd => {
                let descriptor = descriptor.ok_or(LeaseError::NoDescriptor { segment: number })?;
                Ticket::Descriptor(descriptor)
            }
            SegmentKind::Named => Ticket::Name(name.ok_or_else(invalid)?),
            SegmentKind::Heap => {
                let memory = name.as_deref().and_then(HeapMemory::named);
                Ticket::Heap(memory.ok_or_else(invalid)?)
            }
        };
        let access = if is_paired { Access::Shared } else { Access::Private };
        let segment = Segment::open(ticket, length, access).map_err(unmappable)?;
        let waits_for_answer = self.terms.kind == SegmentKind::Named;
        if is_paired && !waits_for_answer {
            segment.seal().map_err(unmappable)?;
        }
        state.peer.mapped.insert(number, Mapped { segment, is_private: !is_paired });
        Ok(waits_for_answer.then_some(Share::Attached(number)))
    }
}
