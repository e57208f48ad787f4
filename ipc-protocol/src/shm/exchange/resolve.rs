//! The way in: places in shared memory become bytes that this process can see, after a check of
//! everything that the peer says about them.

use std::sync::Arc;

use super::{Exchange, State};
use crate::array::{Array, Payload, Place};
use crate::codec::Message;
use crate::codec::payloads::Visitor;
use crate::error::{CodecError, LeaseError};
use crate::from_worker::Traffic;
use crate::limits::Limits;
use crate::share::{LeaseTerms, Placed};
use crate::shm::SharedBytes;
use crate::shm::lease::Lease;

impl Exchange {
    /// Looks the payloads of a decoded message up.
    ///
    /// # Errors
    /// [`CodecError::Lease`] when the peer refers to memory that it may not lend.
    pub fn resolve<M: Message>(
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
        let Place::Placed(placed) = payload.0 else { return Ok(()) };
        let exchange = self.exchange;
        let mut state = exchange.lock();
        let (shared, terms) = match placed {
            Placed::Lent { lease, segment, offset, length, terms } => {
                (lent(exchange, &state, lease, segment, offset, length, terms)?, terms)
            }
            Placed::Returned { lease, offset, length } => {
                (returned(&mut state, lease, offset, length)?, LeaseTerms::Writable)
            }
        };
        drop(state);
        payload.0 = if terms == LeaseTerms::CopyOut {
            self.traffic.copies += 1;
            self.traffic.copied_bytes += shared.len() as u64;
            Place::Memory(shared.as_slice().to_vec().into())
        } else {
            Place::Shared(shared)
        };
        Ok(())
    }

    fn array(&mut self, array: &mut Array) -> Result<(), CodecError> {
        self.payload(&mut array.data)
    }
}

fn lent(
    exchange: &Exchange,
    state: &State,
    lease: u64,
    segment: u32,
    offset: u64,
    length: u64,
    terms: LeaseTerms,
) -> Result<SharedBytes, LeaseError> {
    let mapped = state.mapped.get(&segment).ok_or(LeaseError::UnknownSegment { segment })?;
    let available = mapped.segment.bytes() as u64;
    let outside = LeaseError::OutOfBounds { offset, length, available };
    let end = offset.checked_add(length).filter(|end| *end <= available);
    let (Some(end), Ok(start)) = (end, usize::try_from(offset)) else { return Err(outside) };
    let Ok(end) = usize::try_from(end) else { return Err(outside) };
    let part = start..end;
    let length = part.len();
    let is_writable = terms == LeaseTerms::Writable;
    let is_private = mapped.is_private && is_writable;
    let segment = Arc::clone(&mapped.segment);
    let releases = Arc::clone(&exchange.releases);
    let lease = Lease::new(lease, Arc::clone(&segment), part, is_private, releases);
    Ok(SharedBytes::leased(lease, segment, length, is_writable))
}

fn returned(
    state: &mut State,
    lease: u64,
    offset: u64,
    length: u64,
) -> Result<SharedBytes, LeaseError> {
    let loan = state.end_loan(lease).ok_or(LeaseError::UnknownLease { lease })?;
    let available = loan.bytes.len() as u64;
    let outside = || LeaseError::OutOfBounds { offset, length, available };
    let (Ok(start), Ok(length)) = (usize::try_from(offset), usize::try_from(length)) else {
        return Err(outside());
    };
    loan.bytes.part(start, length).ok_or_else(outside)
}
