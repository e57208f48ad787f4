//! Peers that say what is not so about memory: each is found out, and nothing is touched.

use ipc_protocol::array::{LeaseTerms, Placed};
use ipc_protocol::codec;
use ipc_protocol::error::LeaseError;
use ipc_protocol::exchange::Exchange;
use ipc_protocol::memory::SegmentKind;
use ipc_protocol::share::{Attach, MemoryTerms, Share};
use ipc_protocol::{CodecError, FromWorker, Limits};

use super::support::*;

/// The frame of an item whose only payload is this place.
fn frame_with(placed: Placed) -> Vec<u8> {
    let place = match placed {
        Placed::Lent { lease, segment, offset, length, terms } => {
            let terms = match terms {
                LeaseTerms::Writable => 0,
                LeaseTerms::ReadOnly => 1,
                LeaseTerms::CopyOut => 2,
            };
            numbers(&[1, lease, u64::from(segment), offset, length, terms])
        }
        Placed::Returned { lease, offset, length } => numbers(&[2, lease, offset, length]),
    };
    // A payload inside the frame stands there as the number 0 of its blob: the last byte.
    let whole = codec::encode(item(private(Vec::new()))).unwrap().to_bytes();
    let body_bytes = u32::from_le_bytes(whole[16..20].try_into().unwrap()) as usize;
    let mut body = whole[24..24 + body_bytes].to_vec();
    assert_eq!(body.pop(), Some(0));
    body.extend(place);
    let mut frame = whole[..8].to_vec();
    frame.extend((24 + body.len() as u64).to_le_bytes());
    frame.extend((body.len() as u32).to_le_bytes());
    frame.extend(0_u32.to_le_bytes());
    frame.extend(body);
    frame
}

/// A MessagePack array of integers.
fn numbers(numbers: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0x90 | numbers.len() as u8];
    for number in numbers {
        bytes.push(0xcf);
        bytes.extend(number.to_be_bytes());
    }
    bytes
}

fn receive(exchange: &Exchange, placed: Placed) -> Result<Vec<u8>, LeaseError> {
    let frame = frame_with(placed).into();
    match exchange.decode(frame, &Limits::default()) {
        Ok((message, _)) => Ok(bytes_of(&value_of(message))),
        Err(CodecError::Lease(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

/// A pair where the worker has announced its ring, and what the orchestrator calls it.
fn acquainted(kind: SegmentKind) -> Pair {
    let pair = Pair::new(kind);
    let result = result_in(&pair.far, &pattern(1, 5000));
    drop(hop(&pair.far, &pair.near, lent(result)));
    pair.assert_quiet();
    pair
}

#[test]
fn places_outside_of_segments_are_refused() {
    for kind in kinds() {
        let pair = acquainted(*kind);
        let ring = RING as u64;
        let at = |offset, length| Placed::Lent {
            lease: 9,
            segment: 1,
            offset,
            length,
            terms: LeaseTerms::Writable,
        };
        let outside = [
            (0, ring + 1),
            (ring, 1),
            (ring + 1, 0),
            (1, u64::MAX),
            (u64::MAX, 1),
            (u64::MAX, u64::MAX),
            (1 << 63, 1 << 63),
        ];
        for (offset, length) in outside {
            let found = receive(&pair.near, at(offset, length));
            assert!(matches!(found, Err(LeaseError::OutOfBounds { .. })), "{kind:?}: {found:?}");
        }
        assert_eq!(receive(&pair.near, at(0, ring)).unwrap().len(), RING);
        assert_eq!(receive(&pair.near, at(ring, 0)).unwrap().len(), 0);
        assert_eq!(released(&pair.near.pending_news()), 2, "only what was granted is given back");
    }
}

#[test]
fn segments_and_leases_that_are_not_known_are_refused() {
    for kind in kinds() {
        let pair = acquainted(*kind);
        let terms = LeaseTerms::CopyOut;
        let unknown = Placed::Lent { lease: 1, segment: 2, offset: 0, length: 1, terms };
        let found = receive(&pair.near, unknown);
        assert!(matches!(found, Err(LeaseError::UnknownSegment { segment: 2 })), "{found:?}");
        let found = receive(&pair.near, Placed::Returned { lease: 1, offset: 0, length: 1 });
        assert!(matches!(found, Err(LeaseError::UnknownLease { lease: 1 })), "{found:?}");
        let found = pair.near.handle(Share::Detach(2), None);
        assert!(matches!(found, Err(LeaseError::UnknownSegment { segment: 2 })), "{found:?}");
        let found = pair.near.handle(Share::Release(vec![4]), None);
        assert!(matches!(found, Err(LeaseError::UnknownLease { lease: 4 })), "{found:?}");
        assert!(pair.near.handle(Share::Detach(1), None).is_ok());
        let gone = Placed::Lent { lease: 1, segment: 1, offset: 0, length: 1, terms };
        assert!(receive(&pair.near, gone).is_err(), "{kind:?}: it said itself that it is gone");
    }
}

#[test]
fn a_lease_ends_once() {
    for kind in kinds() {
        let pair = acquainted(*kind);
        let (value, ..) = hop(&pair.near, &pair.far, private(pattern(1, 5000)));
        let back = |offset, length| Placed::Returned { lease: 1, offset, length };
        assert_eq!(receive(&pair.near, back(4000, 1000)).unwrap(), pattern(1, 5000)[4000..]);
        let again = receive(&pair.near, back(0, 1));
        assert!(matches!(again, Err(LeaseError::UnknownLease { lease: 1 })), "{again:?}");
        let again = pair.near.handle(Share::Release(vec![1]), None);
        assert!(matches!(again, Err(LeaseError::UnknownLease { lease: 1 })), "{again:?}");
        drop(value);
        for (lease, (offset, length)) in (2..).zip([(0, 5001), (5000, 1), (1, u64::MAX)]) {
            let _value = hop(&pair.near, &pair.far, private(pattern(1, 5000)));
            let found = receive(&pair.near, Placed::Returned { lease, offset, length });
            assert!(matches!(found, Err(LeaseError::OutOfBounds { .. })), "{kind:?}: {found:?}");
            assert_eq!(pair.near.stats().used_bytes, 0);
        }
        let (_values, ended) =
            ([(); 2].map(|()| hop(&pair.near, &pair.far, private(pattern(1, 5000)))), [5, 5]);
        let twice = pair.near.handle(Share::Release(ended.to_vec()), None);
        assert!(matches!(twice, Err(LeaseError::UnknownLease { lease: 5 })), "{twice:?}");
        assert_eq!(pair.near.loans().len(), 1, "{kind:?}: nobody else's lease ends with it");
    }
}

#[test]
fn a_lease_is_granted_once() {
    for kind in kinds() {
        let pair = acquainted(*kind);
        let result = result_in(&pair.far, &pattern(1, 5000));
        let (value, ..) = hop(&pair.far, &pair.near, lent(result));
        let lent = |lease| {
            let terms = LeaseTerms::Writable;
            receive(&pair.near, Placed::Lent { lease, segment: 1, offset: 0, length: 10, terms })
        };
        let again = lent(2);
        assert!(matches!(again, Err(LeaseError::LeaseTwice { lease: 2 })), "{kind:?}: {again:?}");
        assert_eq!(pair.near.releases().alive().len(), 1, "the first is as it was");
        drop(value);
        assert!(lent(3).is_ok());
        assert_eq!(released(&pair.near.pending_news()), 2);
    }
}

#[test]
fn terms_that_do_not_exist_are_refused() {
    let pair = acquainted(kinds()[0]);
    let placed =
        Placed::Lent { lease: 1, segment: 1, offset: 0, length: 1, terms: LeaseTerms::CopyOut };
    let mut frame = frame_with(placed);
    let last = frame.len() - 1;
    assert_eq!(frame[last], 2);
    frame[last] = 3;
    let decoded = pair.near.decode::<FromWorker>(frame.into(), &Limits::default());
    assert!(decoded.is_err());
}

fn attach(segment: u32, bytes: usize) -> Attach {
    Attach { segment, bytes: bytes as u64, name: None, is_paired: true }
}

#[test]
fn announcements_that_are_not_so_are_refused() {
    for kind in kinds() {
        let pair = acquainted(*kind);
        let ask = |attach| pair.near.handle(Share::Attach(attach), None).map(|_| ());
        let mut sent = place(&pair.far, private(pattern(1, 100_000)), None);
        let Some(announcement) = sent.placement.announcements.pop() else { panic!("nothing new") };
        let Share::Attach(truth) = announcement.share else { panic!("no segment") };
        let fresh = |segment, bytes| Attach { segment, bytes, ..truth.clone() };
        let twice = ask(fresh(1, truth.bytes));
        assert!(matches!(twice, Err(LeaseError::SegmentTwice { segment: 1 })), "{twice:?}");
        for bytes in [(2 << 20) - RING as u64 + 1, u64::MAX] {
            let found = ask(fresh(5, bytes));
            assert!(matches!(found, Err(LeaseError::TooMuch { .. })), "{kind:?}: {found:?}");
        }
        let bare = ask(attach(5, 4096));
        match kind {
            SegmentKind::Memfd => {
                assert!(matches!(bare, Err(LeaseError::NoDescriptor { segment: 5 })), "{bare:?}");
            }
            _ => assert!(matches!(bare, Err(LeaseError::Unmappable { .. })), "{bare:?}"),
        }
        let share = Share::Attach(fresh(5, truth.bytes + 4096));
        let found = pair.near.handle(share, announcement.descriptor);
        assert!(matches!(found, Err(LeaseError::Unmappable { .. })), "{kind:?}: {found:?}");
        assert_eq!(pair.near.mapped_bytes(), RING as u64, "nothing of it was mapped");
    }
}

/// A name says nothing about seals, so it is no way round them.
#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn a_segment_of_another_kind_than_agreed_is_refused() {
    for kind in kinds() {
        for other in kinds().iter().filter(|other| *other != kind) {
            let (near, far) =
                (Exchange::new(terms(*kind), true), Exchange::new(terms(*other), false));
            let sent = place(&far, private(pattern(1, 5000)), None);
            let told = tell(sent.placement.announcements, &far, &near);
            assert!(told.is_err(), "{other:?} where {kind:?} was agreed on");
            assert_eq!(near.mapped_bytes(), 0);
        }
    }
}

/// What a peer gave up counts as long as somebody here refers to it, so that announcing, lending
/// and giving up in turns is no way round the limit.
#[test]
fn what_is_still_mapped_counts_against_the_limit() {
    for kind in kinds() {
        let limits = MemoryTerms { max_bytes: 256 << 10, ..terms(*kind) };
        let near = Exchange::new(limits, true);
        let mut held = Vec::new();
        let refusal = loop {
            // Each worker's exchange numbers from 1 on; the lie is that all are one.
            let far = Exchange::new(terms(*kind), false);
            let sent = place(&far, private(pattern(1, 100_000)), None);
            if let Err(error) = tell(sent.placement.announcements, &far, &near) {
                break error;
            }
            let (lease, terms) = (1 + held.len() as u64, LeaseTerms::ReadOnly);
            let lent = Placed::Lent { lease, segment: 1, offset: 0, length: 100, terms };
            let frame = frame_with(lent).into();
            let (message, _) = near.decode(frame, &Limits::default()).unwrap();
            held.push(value_of(message));
            near.handle(Share::Detach(1), None).unwrap();
            assert!(held.len() < 10, "{kind:?}: no end");
        };
        assert!(matches!(refusal, LeaseError::TooMuch { .. }), "{refusal}");
        assert_eq!((held.len(), near.mapped_bytes()), (4, 4 * (112 << 10)), "{kind:?}");
        held.clear();
        drop(near.pending_news());
        assert_eq!(near.mapped_bytes(), 0);
    }
}

#[test]
#[cfg_attr(miri, ignore = "too long under Miri")]
fn the_number_of_segments_has_a_limit() {
    for kind in kinds() {
        let near = Exchange::new(MemoryTerms { max_bytes: 1 << 40, ..terms(*kind) }, true);
        let refusal = (1..1000).find_map(|number| {
            let far = Exchange::new(terms(*kind), false);
            let mut sent = place(&far, private(pattern(1, 5000)), None);
            for announcement in &mut sent.placement.announcements {
                if let Share::Attach(attach) = &mut announcement.share {
                    attach.segment = number;
                }
            }
            tell(sent.placement.announcements, &far, &near).err()
        });
        assert!(matches!(refusal, Some(LeaseError::TooMany { limit: 512 })), "{refusal:?}");
    }
}

/// The orchestrator alone is suspicious: it chose the limits, a worker follows.
#[test]
fn a_worker_maps_what_the_orchestrator_makes() {
    for kind in kinds() {
        let small = MemoryTerms { max_bytes: 4096, ..terms(*kind) };
        let (near, far) = (Exchange::new(terms(*kind), true), Exchange::new(small, false));
        let (value, ..) = hop(&near, &far, private(pattern(1, 5000)));
        assert_eq!(bytes_of(&value), pattern(1, 5000), "{kind:?}");
    }
}
