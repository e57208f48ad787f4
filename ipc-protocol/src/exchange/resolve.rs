//! Receiving: turns references into shared memory into bytes that this process can read, after
//! checking everything that the peer says about them.

use std::ops::Range;
use std::sync::Arc;

use super::Exchange;
use crate::array::{Array, LeaseTerms, Payload, Placed, Storage};
use crate::error::{CodecError, LeaseError};
use crate::from_worker::Traffic;
use crate::limits::Limits;
use crate::memory::{Lease, SharedBytes};
use crate::visit::{Message, Visitor};

impl Exchange {
    /// Looks up the payloads of a decoded message that lie in shared memory.
    ///
    /// # Errors
    /// [`CodecError::Lease`] when the message breaks the rules of shared memory.
    pub(super) fn resolve<M: Message>(
        &self,
        message: &mut M,
        limits: &Limits,
    ) -> Result<Traffic, CodecError> {
        let mut resolver =
            Resolver { exchange: self, traffic: Traffic::default(), max_depth: limits.depth() };
        message.visit(&mut resolver)?;
        Ok(resolver.traffic)
    }
}

struct Resolver<'a> {
    exchange: &'a Exchange,
    traffic: Traffic,
    max_depth: u32,
}

impl Visitor for Resolver<'_> {
    fn max_depth(&self) -> u32 {
        self.max_depth
    }

    fn payload(&mut self, payload: &mut Payload) -> Result<(), CodecError> {
        let Storage::Placed(placed) = payload.0 else { return Ok(()) };
        let (shared, terms) = match placed {
            Placed::Lent { terms, .. } => (self.exchange.lent(placed)?, terms),
            Placed::Returned { lease, offset, length } => {
                (self.exchange.returned(lease, offset, length)?, LeaseTerms::Writable)
            }
        };
        self.traffic.shared_bytes += shared.len() as u64;
        payload.0 = if terms == LeaseTerms::CopyOut {
            self.traffic.copies += 1;
            self.traffic.copied_bytes += shared.len() as u64;
            Storage::Memory(shared.as_slice().to_vec().into())
        } else {
            Storage::Shared(shared)
        };
        Ok(())
    }

    fn array(&mut self, array: &mut Array) -> Result<(), CodecError> {
        self.payload(&mut array.data)
    }
}

impl Exchange {
    fn lent(&self, placed: Placed) -> Result<SharedBytes, LeaseError> {
        let Placed::Lent { lease, segment, offset, length, terms } = placed else {
            return Err(LeaseError::NoSharedMemory);
        };
        let state = self.lock();
        let mapped = state.peer.get(segment).ok_or(LeaseError::UnknownSegment { segment })?;
        let available = mapped.segment.bytes();
        let part = part(offset, length, available)?;
        let is_writable = terms == LeaseTerms::Writable;
        let is_private = mapped.is_private && is_writable;
        let segment = Arc::clone(&mapped.segment);
        drop(state);
        let lease = Lease::new(lease, segment, part, is_private, Arc::clone(&self.releases))
            .ok_or(LeaseError::LeaseTwice { lease })?;
        Ok(SharedBytes::leased(lease, is_writable))
    }

    fn returned(&self, lease: u64, offset: u64, length: u64) -> Result<SharedBytes, LeaseError> {
        let loan = self.lock().end_loan(lease).ok_or(LeaseError::UnknownLease { lease })?;
        let available = loan.bytes.len();
        let part = part(offset, length, available)?;
        loan.bytes.part(part.start, part.len()).ok_or(LeaseError::UnknownLease { lease })
    }
}

/// The range of a peer's offset and length, checked to lie within `available` bytes.
fn part(offset: u64, length: u64, available: usize) -> Result<Range<usize>, LeaseError> {
    let range = || {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (end <= available).then_some(start..end)
    };
    let available = available as u64;
    range().ok_or(LeaseError::OutOfBounds { offset, length, available })
}
