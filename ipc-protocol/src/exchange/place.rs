//! Sending: moves payloads into shared memory, and lends those that lie there already.

use std::io;
use std::sync::Arc;

use super::state::ExchangeState;
use super::{Exchange, Placement};
use crate::array::{Array, LeaseTerms, Payload, Placed, Storage};
use crate::error::CodecError;
use crate::limits::Limits;
use crate::memory::{SegmentKind, SharedBytes};
use crate::visit::{Message, Visitor};

impl Exchange {
    /// Places the payloads of a message in shared memory. `holder` is the node that gets them.
    ///
    /// # Errors
    /// When the parts of an array do not agree, or values are nested too deep.
    pub fn place<M: Message>(
        &self,
        message: &mut M,
        holder: Option<&Arc<str>>,
        limits: &Limits,
    ) -> Result<Placement, CodecError> {
        let mut placer = Placer {
            exchange: self,
            holder,
            placement: Placement::default(),
            max_depth: limits.depth(),
        };
        let outcome = message.visit(&mut placer);
        let placement = placer.placement;
        match outcome {
            Ok(()) => Ok(placement),
            Err(error) => {
                self.undo(placement);
                Err(error)
            }
        }
    }

    /// Whether the peer can map segments that were made for another process.
    fn can_forward(&self) -> bool {
        self.terms.kind == SegmentKind::Memfd
    }

    fn inline_max_bytes(&self) -> usize {
        usize::try_from(self.terms.inline_max_bytes).unwrap_or(usize::MAX)
    }
}

struct Placer<'a> {
    exchange: &'a Exchange,
    holder: Option<&'a Arc<str>>,
    placement: Placement,
    max_depth: u32,
}

impl Visitor for Placer<'_> {
    fn max_depth(&self) -> u32 {
        self.max_depth
    }

    fn payload(&mut self, payload: &mut Payload) -> Result<(), CodecError> {
        if payload.len() <= self.exchange.inline_max_bytes() {
            self.placement.traffic.inline_bytes += payload.len() as u64;
            return Ok(());
        }
        let place = std::mem::replace(&mut payload.0, Storage::Blob(u32::MAX));
        payload.0 = match place {
            Storage::Memory(bytes) => match self.copy_in(&bytes) {
                Some(placed) => Storage::Placed(placed),
                None => self.inline(Storage::Memory(bytes)),
            },
            Storage::Shared(shared) => self.shared(shared),
            other => other,
        };
        Ok(())
    }

    fn array(&mut self, array: &mut Array) -> Result<(), CodecError> {
        array.check()?;
        self.payload(&mut array.data)
    }
}

impl Placer<'_> {
    fn inline(&mut self, place: Storage) -> Storage {
        if let Storage::Memory(bytes) = &place {
            self.placement.traffic.inline_bytes += bytes.len() as u64;
        }
        place
    }

    /// Places bytes that lie in shared memory already: returns or lends them, or copies them if the
    /// peer cannot map them or another holder could be affected.
    fn shared(&mut self, shared: SharedBytes) -> Storage {
        let exchange = self.exchange;
        let described = if let Some(lease) = shared.lease()
            && let Some(number) = lease.number_for(&exchange.releases)
        {
            if shared.is_sole() && !lease.has_private_writes() && !lease.is_held() {
                lease.end();
                self.placement.ended.push(number);
                let offset = (shared.offset() - lease.part().start) as u64;
                let length = shared.len() as u64;
                self.placement.traffic.shared_bytes += length;
                return Storage::Placed(Placed::Returned { lease: number, offset, length });
            }
            None
        } else if shared.is_of(&exchange.arena) {
            shared.is_sole().then_some((LeaseTerms::Writable, true))
        } else if exchange.can_forward() && shared.segment().can_be_forwarded() {
            let is_aliased = shared.is_aliased();
            Some((if is_aliased { LeaseTerms::ReadOnly } else { LeaseTerms::Writable }, false))
        } else {
            None
        };
        if let Some((terms, is_paired)) = described {
            match self.lend(shared.clone(), terms, is_paired) {
                Ok(Some(placed)) => return Storage::Placed(placed),
                Ok(None) => {}
                Err(error) => self.note_failure(error),
            }
        }
        match self.copy_in(shared.as_slice()) {
            Some(placed) => Storage::Placed(placed),
            None => self.inline(Storage::Memory(shared.to_bytes())),
        }
    }

    /// Copies bytes into this side's shared memory and lends the copy; `None` when no memory is
    /// available.
    fn copy_in(&mut self, bytes: &[u8]) -> Option<Placed> {
        let mut claim = match self.exchange.arena.allocate(bytes.len()) {
            Ok(claim) => claim,
            Err(error) => {
                self.note_failure(error);
                return None;
            }
        };
        if !claim.write(bytes) {
            return None;
        }
        let offset = claim.offset();
        let shared = SharedBytes::claimed(claim, offset, bytes.len())?;
        let traffic = &mut self.placement.traffic;
        traffic.copies += 1;
        traffic.copied_bytes += bytes.len() as u64;
        self.lend(shared, LeaseTerms::Writable, true).unwrap_or_else(|error| {
            self.note_failure(error);
            None
        })
    }

    /// Lends bytes without a copy; `None` when writes under another lease could show in them.
    fn lend(
        &mut self,
        shared: SharedBytes,
        terms: LeaseTerms,
        is_paired: bool,
    ) -> io::Result<Option<Placed>> {
        let mut state = self.exchange.lock();
        let terms = self.within_quota(&state, terms);
        if !is_paired && state.is_disturbed(&shared, terms) {
            return Ok(None);
        }
        let (segment, announcement) = state.announce(shared.segment(), is_paired)?;
        let (offset, length) = (shared.offset() as u64, shared.len() as u64);
        let lease = state.lend(shared, self.holder.cloned(), terms, is_paired);
        drop(state);
        self.placement.announcements.extend(announcement);
        self.placement.loans.push(lease);
        self.placement.traffic.shared_bytes += length;
        Ok(Some(Placed::Lent { lease, segment, offset, length, terms }))
    }

    /// The terms of a loan: a copy if the node already keeps more bytes than its quota. Copies do
    /// not count, so the node may keep them for ever.
    fn within_quota(&mut self, state: &ExchangeState, terms: LeaseTerms) -> LeaseTerms {
        let Some(holder) = self.holder else { return terms };
        let pinned = state.pinned(holder);
        if pinned as u64 <= self.exchange.terms.pinned_max_bytes {
            return terms;
        }
        self.placement.over_quota = Some((Arc::clone(holder), pinned));
        LeaseTerms::CopyOut
    }

    fn note_failure(&mut self, error: io::Error) {
        if self.exchange.tells_of_failure() {
            self.placement.failure = Some(error);
        }
    }
}
