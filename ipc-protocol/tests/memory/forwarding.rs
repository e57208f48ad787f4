//! What one worker made goes on to others without a copy, each seeing it as if alone.

use ipc_protocol::Value;
use ipc_protocol::from_worker::Traffic;
use ipc_protocol::memory::{Access, Segment, SegmentKind, SharedBytes, Ticket};
use ipc_protocol::share::MemoryTerms;

use super::support::*;

fn memfd_pair() -> Pair {
    Pair::new(SegmentKind::Memfd)
}

/// A result of the first worker, as the orchestrator has it.
fn result_of(maker: &Pair, bytes: &[u8]) -> SharedBytes {
    let result = result_in(&maker.far, bytes);
    shared_of(hop(&maker.far, &maker.near, lent(result)).0).unwrap()
}

/// spec: CARD-05, IOP-30: a worker's result reaches the next worker in the memory it was made in.
#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn a_result_is_forwarded_without_a_copy() {
    let (maker, next) = (memfd_pair(), memfd_pair());
    let result = result_of(&maker, &pattern(1, 100_000));
    let (value, sent, came) = hop(&next.near, &next.far, lent(result));
    assert_eq!(sent, Traffic { shared_bytes: 100_000, ..Traffic::default() });
    assert_eq!(came, sent);
    assert_eq!(next.near.stats().segments, 0, "no memory was made for it");
    let input = shared_of(value).unwrap();
    assert_eq!(input.as_slice(), pattern(1, 100_000));
    assert_eq!(released(&maker.near.pending_news()), 0, "the next worker still looks");
    drop(input);
    settle(&next.far, &next.near);
    assert_eq!(released(&maker.near.pending_news()), 1);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn each_of_several_workers_writes_to_pages_of_its_own() {
    let maker = memfd_pair();
    let next = [memfd_pair(), memfd_pair()];
    let result = result_of(&maker, &pattern(1, 10_000));
    let inputs = next.each_ref().map(|pair| {
        let (value, sent, _) = hop(&pair.near, &pair.far, lent(result.clone()));
        assert_eq!(sent.copies, 0);
        shared_of(value).unwrap()
    });
    assert!(inputs.iter().all(SharedBytes::is_writable));
    poke(&inputs[0], 5000, 99);
    assert_eq!(inputs[0].as_slice()[5000], 99);
    assert_eq!(inputs[1].as_slice(), pattern(1, 10_000));
    assert_eq!(result.as_slice(), pattern(1, 10_000));
    // What was written privately cannot be returned; what was not, can.
    let [written, untouched] = inputs;
    let (value, sent, _) = hop(&next[0].far, &next[0].near, lent(written));
    assert_eq!((sent.copies, bytes_of(&value)[5000]), (1, 99));
    let (value, sent, _) = hop(&next[1].far, &next[1].near, lent(untouched));
    assert_eq!(sent.copies, 0);
    assert_eq!(shared_of(value).unwrap().address(), result.address());
}

/// The block is the maker's to use again after the release: the next reader sees the new bytes, not
/// what an earlier one wrote over the old.
#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn private_writes_are_forgotten_with_their_lease() {
    let (maker, next) = (memfd_pair(), memfd_pair());
    let mut addresses = Vec::new();
    for seed in 1..4 {
        let result = result_of(&maker, &pattern(seed, 100_000));
        let (value, sent, _) = hop(&next.near, &next.far, lent(result));
        assert_eq!(sent.copies, 0);
        let input = shared_of(value).unwrap();
        assert_eq!(input.as_slice(), pattern(seed, 100_000), "round {seed}");
        addresses.push(input.address());
        poke(&input, 0, 200);
        poke(&input, 50_000, 200);
        drop(input);
        let (leases, copied) = next.far.releases().take();
        assert_eq!((leases.len(), copied), (1, 2 * PAGE), "two pages were copied by the kernel");
        let news = ipc_protocol::share::Share::Release(leases);
        next.near.handle(news, None).unwrap();
        settle(&maker.near, &maker.far);
    }
    assert!(addresses.iter().all(|address| *address == addresses[0]), "the same warm block");
}

/// Also in a process that locks its memory, where the kernel does not drop pages on request.
#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn private_writes_to_locked_pages_are_forgotten_too() {
    let (maker, next) = (memfd_pair(), memfd_pair());
    for seed in 1..4 {
        let result = result_of(&maker, &pattern(seed, 2 * PAGE));
        let (value, ..) = hop(&next.near, &next.far, lent(result));
        let input = shared_of(value).unwrap();
        assert_eq!(input.as_slice(), pattern(seed, 2 * PAGE), "round {seed}");
        let start = std::ptr::with_exposed_provenance_mut(input.address());
        // SAFETY: the pages are mapped as long as `input` lives; locking changes nothing in them.
        unsafe { rustix::mm::mlock(start, 2 * PAGE) }.unwrap();
        poke(&input, PAGE, 200);
        drop(input);
        settle(&next.far, &next.near);
        settle(&maker.near, &maker.far);
    }
}

/// Two leases on the same pages of a private mapping would show each other's writes, and the end of
/// one would take the other's away.
#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn leases_that_share_a_page_do_not_disturb_each_other() {
    let (maker, next) = (memfd_pair(), memfd_pair());
    let result = result_of(&maker, &pattern(1, 100_000));
    let parts = [(0, 1000), (1000, 1000), (0, 100_000), (8192, 100), (12_288, 100)];
    let lend = |(start, length)| lent(result.part(start, length).unwrap());
    let (value, sent, _) = hop(&next.near, &next.far, Value::List(parts.map(lend).into()));
    assert_eq!(sent.copies, 2, "the second and the third would share a page with the first");
    let inputs: Vec<_> = items_of(value).into_iter().map(|item| shared_of(item).unwrap()).collect();
    for (index, input) in inputs.iter().enumerate() {
        poke(input, 0, 200 + index as u8);
    }
    let seen = |input: &SharedBytes, index: usize, (start, length): (usize, usize)| {
        let mut expected = pattern(1, 100_000)[start..start + length].to_vec();
        expected[0] = 200 + index as u8;
        assert!(input.as_slice() == expected, "part {index}");
    };
    let mut inputs: Vec<_> = inputs.into_iter().map(Some).collect();
    for last in [1, 0, 3, 4, 2] {
        for (index, input) in inputs.iter().enumerate() {
            input.iter().for_each(|input| seen(input, index, parts[index]));
        }
        inputs[last] = None;
        settle(&next.far, &next.near);
    }
    let (value, sent, _) = hop(&next.near, &next.far, lend(parts[2]));
    assert_eq!(sent.copies, 0, "nobody is in the way any more");
    assert_eq!(bytes_of(&value), pattern(1, 100_000));
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn the_end_of_one_lease_leaves_the_others_in_the_way() {
    let (maker, next) = (memfd_pair(), memfd_pair());
    let result = result_of(&maker, &pattern(1, 100_000));
    let part = |start| lent(result.part(start, 1000).unwrap());
    let (first, ..) = hop(&next.near, &next.far, part(0));
    let (second, ..) = hop(&next.near, &next.far, part(50_000));
    drop(first);
    settle(&next.far, &next.near);
    let (third, sent, _) = hop(&next.near, &next.far, part(50_500));
    assert_eq!(sent.copies, 1);
    poke(&shared_of(second).unwrap(), 600, 99);
    assert_eq!(bytes_of(&third), pattern(1, 100_000)[50_500..51_500]);
}

/// Once both owners have mapped a segment nobody maps it for writing any more, whichever made it.
#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn what_both_owners_have_mapped_is_sealed() {
    let Pair { near, far } = memfd_pair();
    for (from, to) in [(&near, &far), (&far, &near)] {
        let mut sent = place(from, private(pattern(1, 5000)), None);
        let announcement = sent.placement.announcements.pop().unwrap();
        let copies: [_; 2] =
            [(); 2].map(|()| announcement.descriptor.as_ref().unwrap().try_clone().unwrap());
        let [early, late] = copies.map(Ticket::Descriptor);
        assert!(Segment::open(early, RING, Access::Shared).is_ok());
        tell([announcement], from, to).unwrap();
        assert!(Segment::open(late, RING, Access::Shared).is_err());
    }
}

/// Arrays that a program shares knowingly are seen read-only, and later writes of the owner show.
#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn aliased_bytes_are_lent_read_only() {
    let (owner, next) = (memfd_pair(), memfd_pair());
    let array = result_in(&owner.near, &pattern(1, 10_000)).aliased();
    let twice = Value::List(vec![lent(array.clone()), lent(array.clone())]);
    let (value, sent, _) = hop(&next.near, &next.far, twice);
    assert_eq!(sent.copies, 0, "readers do not disturb each other");
    let [first, second]: [_; 2] = items_of(value)
        .into_iter()
        .map(|item| shared_of(item).unwrap())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert!(!first.is_writable() && !second.is_writable());
    poke(&array, 7, 99);
    assert_eq!([first.as_slice()[7], second.as_slice()[7]], [99, 99]);
    drop(second);
    let (value, sent, _) = hop(&next.far, &next.near, lent(first));
    assert_eq!(sent.copies, 0);
    let back = shared_of(value).unwrap();
    assert!(back.is_aliased(), "the owner gets its own array back");
    assert_eq!(back.address(), array.address());
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn the_end_of_the_maker_disturbs_nobody() {
    let (maker, next) = (memfd_pair(), memfd_pair());
    let result = result_of(&maker, &pattern(1, 100_000));
    let (value, ..) = hop(&next.near, &next.far, lent(result));
    drop(maker);
    assert_eq!(bytes_of(&value), pattern(1, 100_000));
    drop(value);
    next.assert_quiet();
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn the_end_of_a_reader_gives_the_maker_its_block_back() {
    let (maker, next) = (memfd_pair(), memfd_pair());
    let result = result_of(&maker, &pattern(1, 100_000));
    let (value, ..) = hop(&next.near, &next.far, lent(result));
    drop(next);
    maker.assert_quiet();
    assert_eq!(bytes_of(&value), pattern(1, 100_000), "whoever still looks has it mapped");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn quotas_hold_for_forwarded_bytes() {
    let maker = memfd_pair();
    let next = Pair::on(MemoryTerms { pinned_max_bytes: 0, ..terms(SegmentKind::Memfd) });
    let result = result_of(&maker, &pattern(1, 10_000));
    let (first, sent, came) = hop_for(&next.near, &next.far, lent(result.clone()), Some("node"));
    assert_eq!((sent.copies, came.copies), (0, 0));
    let second = result.part(8192, 1000).unwrap();
    let (second, _, came) = hop_for(&next.near, &next.far, lent(second), Some("node"));
    assert_eq!(came.copies, 1);
    assert_eq!(bytes_of(&second), pattern(1, 10_000)[8192..9192]);
    drop(first);
    next.assert_quiet();
}

/// What cannot be mapped by a third process is copied for it.
#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn other_kinds_are_copied_on_the_way() {
    for (from, to) in [
        (SegmentKind::Named, SegmentKind::Named),
        (SegmentKind::Named, SegmentKind::Memfd),
        (SegmentKind::Memfd, SegmentKind::Named),
    ] {
        let (maker, next) = (Pair::new(from), Pair::new(to));
        let result = result_of(&maker, &pattern(1, 10_000));
        let (value, sent, _) = hop(&next.near, &next.far, lent(result));
        assert_eq!(sent.copies, 1, "{from:?} to {to:?}");
        assert_eq!(bytes_of(&value), pattern(1, 10_000));
        drop(value);
        next.assert_quiet();
        maker.assert_quiet();
    }
}
