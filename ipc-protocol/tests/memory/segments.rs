//! What every kind of segment does.

use ipc_protocol::memory::{Access, Segment, SegmentKind, Ticket};

use super::support::{PAGE, kinds, pattern, peek, put};

/// spec: CARD-05, CARD-11: what one side writes, the other sees in the same memory, whatever the
/// kind: memfds, named segments of the shared_memory crate, and the heap twin.
#[test]
fn both_sides_see_the_same_memory() {
    for kind in kinds() {
        let made = Segment::create(*kind, 4 * PAGE).unwrap();
        let opened = Segment::open(made.ticket().unwrap(), 4 * PAGE, Access::Shared).unwrap();
        assert_eq!((made.bytes(), opened.bytes()), (4 * PAGE, 4 * PAGE));
        assert_ne!(made.id(), opened.id());
        assert_eq!(peek(opened.address(), 4 * PAGE), vec![0; 4 * PAGE], "{kind:?}: fresh is zero");
        put(made.address() + 100, &pattern(1, 5000));
        assert_eq!(peek(opened.address() + 100, 5000), pattern(1, 5000), "{kind:?}");
        put(opened.address(), &pattern(7, 50));
        assert_eq!(peek(made.address(), 50), pattern(7, 50), "{kind:?}");
    }
}

#[test]
fn a_mapping_outlives_its_maker() {
    for kind in kinds() {
        let made = Segment::create(*kind, PAGE).unwrap();
        let opened = Segment::open(made.ticket().unwrap(), PAGE, Access::Shared).unwrap();
        put(made.address(), &pattern(3, PAGE));
        drop(made);
        assert_eq!(peek(opened.address(), PAGE), pattern(3, PAGE), "{kind:?}");
    }
}

#[test]
fn blocks_begin_at_pages() {
    for kind in kinds() {
        let segments: Vec<_> = (0..3).map(|_| Segment::create(*kind, PAGE).unwrap()).collect();
        assert!(segments.iter().all(|segment| segment.address() % PAGE == 0), "{kind:?}");
    }
}

#[test]
fn a_segment_of_another_length_is_refused() {
    for kind in kinds() {
        let made = Segment::create(*kind, 2 * PAGE).unwrap();
        for bytes in [0, PAGE, 3 * PAGE, usize::MAX / 2] {
            let opened = Segment::open(made.ticket().unwrap(), bytes, Access::Shared);
            assert!(opened.is_err(), "{kind:?}: {bytes}");
        }
    }
}

#[test]
fn no_segment_is_empty() {
    for kind in kinds().iter().filter(|kind| **kind != SegmentKind::Heap) {
        assert!(Segment::create(*kind, 0).is_err(), "{kind:?}");
    }
}

#[test]
fn sealing_twice_is_sealing_once() {
    for kind in kinds() {
        let made = Segment::create(*kind, PAGE).unwrap();
        let opened = Segment::open(made.ticket().unwrap(), PAGE, Access::Shared).unwrap();
        made.seal().unwrap();
        made.seal().unwrap();
        opened.seal().unwrap();
        put(made.address(), b"both");
        assert_eq!(peek(opened.address(), 4), b"both", "{kind:?}: mappings that exist stay");
        put(opened.address(), b"ways");
        assert_eq!(peek(made.address(), 4), b"ways", "{kind:?}");
    }
}

#[test]
fn a_sealed_segment_has_no_further_writer() {
    for kind in kinds().iter().filter(|kind| **kind != SegmentKind::Heap) {
        let made = Segment::create(*kind, PAGE).unwrap();
        let early = made.ticket().unwrap();
        made.seal().unwrap();
        assert!(Segment::open(early, PAGE, Access::Shared).is_err(), "{kind:?}");
        let late = made.ticket().and_then(|ticket| Segment::open(ticket, PAGE, Access::Shared));
        assert!(late.is_err(), "{kind:?}");
    }
}

/// The name goes with the sealing or with its maker, never with whoever opened the segment.
#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn a_name_lasts_until_the_seal() {
    let name_of = |segment: &Segment| match segment.ticket() {
        Ok(Ticket::Name(name)) => name,
        other => panic!("no name: {other:?}"),
    };
    let open = |name: &str| Segment::open(Ticket::Name(name.to_owned()), PAGE, Access::Shared);
    let made = Segment::create(SegmentKind::Named, PAGE).unwrap();
    let name = name_of(&made);
    assert!(name.starts_with(&format!("remotemedia-{}-", std::process::id())), "{name}");
    drop(open(&name).unwrap());
    let opened = open(&name).unwrap();
    assert!(opened.ticket().is_err(), "only the maker passes it on");
    opened.seal().unwrap();
    assert!(open(&name).is_ok(), "the opener's seal leaves the name");
    made.seal().unwrap();
    assert!(open(&name).is_err());
    assert!(made.ticket().is_err());
    let unsealed = Segment::create(SegmentKind::Named, PAGE).unwrap();
    let name = name_of(&unsealed);
    drop(unsealed);
    assert!(open(&name).is_err(), "an unsealed segment takes its name along");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn names_of_others_are_refused() {
    for name in ["", "x", "/etc/passwd", "remotemedia-1-2", "remotemedia-1-2-abcdef/../x"] {
        let opened = Segment::open(Ticket::Name(name.to_owned()), PAGE, Access::Shared);
        assert_eq!(opened.unwrap_err().kind(), std::io::ErrorKind::InvalidData, "{name:?}");
    }
    let gone = Ticket::Name("remotemedia-1-2-abcdef".to_owned());
    let opened = Segment::open(gone, PAGE, Access::Shared);
    assert_eq!(opened.unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn named_segments_go_to_no_third_process() {
    let made = Segment::create(SegmentKind::Named, PAGE).unwrap();
    assert!(!made.can_be_forwarded());
    let opened = Segment::open(made.ticket().unwrap(), PAGE, Access::Private);
    assert_eq!(opened.unwrap_err().kind(), std::io::ErrorKind::Unsupported);
}
