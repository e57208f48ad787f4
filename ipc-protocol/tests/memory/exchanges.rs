//! Two exchanges back to back over every kind: who sees what, who copies, what comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipc_protocol::codec;
use ipc_protocol::exchange::Exchange;
use ipc_protocol::from_worker::Traffic;
use ipc_protocol::share::{MemoryTerms, Share};
use ipc_protocol::{Array, Dtype, Limits, Order, Value};

use super::support::*;

/// spec: CARD-05: what is in private memory is copied once, into the ring, and seen there.
#[test]
fn private_bytes_are_copied_once() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let (value, sent, came) = hop(&pair.near, &pair.far, private(pattern(1, 5000)));
        let once =
            Traffic { copies: 1, copied_bytes: 5000, shared_bytes: 5000, ..Traffic::default() };
        let received = Traffic { shared_bytes: 5000, ..Traffic::default() };
        assert_eq!((sent, came), (once, received), "{kind:?}");
        let shared = shared_of(value).expect("in shared memory");
        assert_eq!(shared.as_slice(), pattern(1, 5000));
        assert!(shared.is_writable() && shared.is_sole());
        assert_eq!(pair.near.loans().len(), 1);
        drop(shared);
        pair.assert_quiet();
    }
}

#[test]
fn small_bytes_travel_inside_the_frame() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let (value, sent, _) = hop(&pair.near, &pair.far, private(pattern(1, INLINE)));
        assert_eq!(bytes_of(&value), pattern(1, INLINE));
        assert_eq!(sent, Traffic { inline_bytes: INLINE as u64, ..Traffic::default() });
        assert!(shared_of(value).is_none());
        assert_eq!(pair.near.stats().segments, 0, "{kind:?}");
        let small = result_in(&pair.far, &pattern(2, INLINE));
        let (value, ..) = hop(&pair.far, &pair.near, lent(small));
        assert_eq!(bytes_of(&value), pattern(2, INLINE));
        assert!(shared_of(value).is_none());
        pair.assert_quiet();
    }
}

/// spec: CARD-05, IOP-30: a result that was made in shared memory, and that nobody kept, goes over
/// without a copy: the reader sees the writer's own block.
#[test]
fn a_sole_result_is_lent_without_a_copy() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let result = result_in(&pair.far, &pattern(3, 100_000));
        let (value, sent, came) = hop(&pair.far, &pair.near, lent(result));
        assert_eq!(sent, Traffic { shared_bytes: 100_000, ..Traffic::default() }, "{kind:?}");
        assert_eq!(came, sent);
        let shared = shared_of(value).expect("in shared memory");
        assert_eq!(shared.as_slice(), pattern(3, 100_000));
        assert!(shared.is_writable());
        drop(shared);
        pair.assert_quiet();
    }
}

#[test]
fn a_result_that_is_kept_is_copied() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let result = result_in(&pair.far, &pattern(3, 5000));
        let kept = result.clone();
        let (value, sent, _) = hop(&pair.far, &pair.near, lent(result));
        assert_eq!((sent.copies, sent.copied_bytes), (1, 5000), "{kind:?}");
        let shared = shared_of(value).expect("in shared memory");
        poke(&shared, 0, 99);
        assert_eq!(kept.as_slice(), pattern(3, 5000), "what was kept does not change");
        drop((shared, kept));
        // A claim that no value knows of keeps it too, as that of an array that is still alive.
        let result = result_in(&pair.far, &pattern(4, 5000));
        let claim = pair.far.arena().claim_at(result.address(), 1).unwrap();
        let (_, sent, _) = hop(&pair.far, &pair.near, lent(result));
        assert_eq!(sent.copies, 1, "{kind:?}");
        drop(claim);
        pair.assert_quiet();
    }
}

/// spec: IOP-30: an input that is handed on unchanged goes back as it came.
#[test]
fn what_is_passed_through_is_returned() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let (value, ..) = hop(&pair.near, &pair.far, private(pattern(5, 9000)));
        let block = pair.near.stats().used_bytes;
        let input = shared_of(value).unwrap();
        poke(&input, 8999, 77);
        let (value, sent, _) = hop(&pair.far, &pair.near, lent(input));
        assert_eq!(sent, Traffic { shared_bytes: 9000, ..Traffic::default() }, "{kind:?}");
        assert_eq!(pair.far.stats().segments, 0, "nothing was made for it");
        assert_eq!(released(&pair.far.pending_news()), 0, "the message itself ended the lease");
        let back = shared_of(value).unwrap();
        assert!(back.is_of(pair.near.arena()) && back.is_sole());
        assert_eq!(back.as_slice()[..8999], pattern(5, 9000)[..8999]);
        assert_eq!(back.as_slice()[8999], 77, "what the node wrote is in it");
        assert_eq!((pair.near.loans().len(), pair.near.stats().used_bytes), (0, block));
        drop(back);
        pair.assert_quiet();
    }
}

#[test]
fn a_part_of_an_input_is_returned_as_that_part() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let (value, ..) = hop(&pair.near, &pair.far, private(pattern(5, 9000)));
        let part = shared_of(value).unwrap().part(1000, 500).unwrap();
        let (value, sent, _) = hop(&pair.far, &pair.near, lent(part));
        assert_eq!(sent.copies, 0, "{kind:?}");
        assert_eq!(bytes_of(&value), pattern(5, 9000)[1000..1500]);
        drop(value);
        pair.assert_quiet();
    }
}

#[test]
fn an_input_that_is_kept_is_not_returned() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let (value, ..) = hop(&pair.near, &pair.far, private(pattern(5, 9000)));
        let input = shared_of(value).unwrap();
        let kept = input.clone();
        let (value, sent, _) = hop(&pair.far, &pair.near, lent(input));
        assert_eq!(sent.copies, 1, "{kind:?}");
        poke(&shared_of(value).unwrap(), 0, 99);
        assert_eq!(kept.as_slice(), pattern(5, 9000));
        assert_eq!(pair.near.loans().len(), 1, "the node still has it");
        drop(kept);
        pair.assert_quiet();
    }
}

#[test]
fn the_same_array_twice_in_a_message_is_two() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let (value, ..) = hop(&pair.near, &pair.far, private(pattern(5, 9000)));
        let input = shared_of(value).unwrap();
        let both = Value::List(vec![lent(input.clone()), lent(input)]);
        let (value, sent, _) = hop(&pair.far, &pair.near, both);
        assert_eq!(sent.copies, 1, "{kind:?}: the second is the last to hold it");
        let [first, second]: [Value; 2] = items_of(value).try_into().unwrap();
        poke(&shared_of(first).unwrap(), 0, 99);
        assert_eq!(bytes_of(&second), pattern(5, 9000));
        drop(second);
        pair.assert_quiet();
    }
}

#[test]
fn nothing_that_a_node_keeps_ever_changes() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let mut kept = Vec::new();
        for seed in 0..30 {
            let (value, ..) = hop(&pair.near, &pair.far, private(pattern(seed, 3000)));
            if seed % 3 == 0 {
                kept.push((seed, shared_of(value)));
            } else {
                drop(value);
            }
            pair.settle();
        }
        for (seed, shared) in &kept {
            let bytes = shared.as_ref().map(|shared| shared.as_slice().to_vec());
            assert_eq!(bytes, Some(pattern(*seed, 3000)), "{kind:?}");
        }
        assert_eq!(pair.near.loans().len(), kept.len());
        drop(kept);
        pair.assert_quiet();
    }
}

#[test]
fn above_its_quota_a_node_gets_copies() {
    for kind in kinds() {
        let pair = Pair::on(MemoryTerms { pinned_max_bytes: 5000, ..terms(*kind) });
        let send = |seed| {
            let mut sent = place(&pair.near, private(pattern(seed, 3000)), Some("hoarder"));
            let (value, came) = deliver(&mut sent, &pair.near, &pair.far).unwrap();
            (value, came, sent.placement.over_quota)
        };
        let (first, _, told) = send(1);
        assert_eq!(told, None);
        let (second, _, told) = send(2);
        assert_eq!(told, None, "{kind:?}: it has 3000 so far");
        let (third, came, told) = send(3);
        assert_eq!(told, Some((Arc::from("hoarder"), 6000)));
        assert_eq!((came.copies, came.copied_bytes), (1, 3000), "{kind:?}");
        assert_eq!(bytes_of(&third), pattern(3, 3000));
        assert!(shared_of(third).is_none(), "a copy of its own");
        let (other, ..) =
            hop_for(&pair.near, &pair.far, private(pattern(4, 3000)), Some("another"));
        assert!(shared_of(other).is_some(), "each node has a quota of its own");
        pair.settle();
        let holders: Vec<_> = pair.near.loans().into_iter().map(|loan| loan.holder).collect();
        assert_eq!(holders, [Some(Arc::from("hoarder")), Some(Arc::from("hoarder"))]);
        drop((first, second));
        pair.settle();
        let (value, _, told) = send(5);
        assert_eq!(told, None, "what it gave back does not count");
        assert!(shared_of(value).is_some());
        pair.assert_quiet();
    }
}

#[test]
fn without_memory_values_travel_inside_frames_and_it_is_said_once() {
    for kind in kinds() {
        let pair = Pair::on(MemoryTerms { max_bytes: 4096, ..terms(*kind) });
        for is_first in [true, false] {
            let mut sent = place(&pair.near, private(pattern(1, 5000)), None);
            assert_eq!(sent.placement.failure.is_some(), is_first, "{kind:?}");
            assert_eq!(sent.placement.traffic.inline_bytes, 5000);
            assert_eq!(sent.placement.traffic.copies, 0);
            let (value, _) = deliver(&mut sent, &pair.near, &pair.far).unwrap();
            assert_eq!(bytes_of(&value), pattern(1, 5000));
            assert!(shared_of(value).is_none());
        }
        pair.assert_quiet();
    }
}

#[test]
fn a_message_that_was_not_sent_is_taken_back() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let unsent = place(&pair.near, private(pattern(1, 5000)), Some("node"));
        assert_eq!(pair.near.loans().len(), 1);
        pair.near.undo(unsent.placement);
        assert_eq!(pair.near.loans(), []);
        assert_eq!(pair.near.stats().used_bytes, 0, "{kind:?}");
        // The peer has not heard of the ring: the next message announces it.
        let (value, ..) = hop(&pair.near, &pair.far, private(pattern(2, 5000)));
        let input = shared_of(value).unwrap();
        // An announcement that was sent is not made again.
        let mut unsent = place(&pair.far, private(pattern(3, 5000)), None);
        let sent: Vec<_> = unsent.placement.announcements.drain(..).collect();
        tell(sent, &pair.far, &pair.near).unwrap();
        pair.far.undo(unsent.placement);
        let again = place(&pair.far, private(pattern(4, 5000)), None);
        assert_eq!(again.placement.announcements.len(), 0, "{kind:?}");
        pair.far.undo(again.placement);
        // A lease that ended with the message is given back by a release instead.
        let unsent = place(&pair.far, lent(input), None);
        assert_eq!(released(&pair.far.pending_news()), 0);
        pair.far.undo(unsent.placement);
        assert_eq!(pair.near.loans().len(), 1);
        pair.assert_quiet();
    }
}

#[test]
fn a_message_that_cannot_be_placed_is_taken_back() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let bad = Array {
            dtype: Dtype { descr: "<f8".to_owned(), item_bytes: 8 },
            shape: vec![3],
            order: Order::C,
            scalar: false,
            data: pattern(0, 100).into(),
        };
        let mut message = item(Value::List(vec![private(pattern(1, 5000)), Value::Array(bad)]));
        assert!(pair.near.place(&mut message, None, &Limits::default()).is_err());
        assert_eq!((pair.near.loans(), pair.near.stats().used_bytes), (vec![], 0), "{kind:?}");
        let (value, ..) = hop(&pair.near, &pair.far, private(pattern(2, 5000)));
        assert_eq!(bytes_of(&value), pattern(2, 5000), "its announcement is not lost");
    }
}

#[test]
fn a_segment_that_is_gone_is_unmapped_by_the_peer() {
    for kind in kinds() {
        let pair = Pair::on(MemoryTerms { idle_max_bytes: 0, ..terms(*kind) });
        let (value, ..) = hop(&pair.near, &pair.far, private(pattern(1, 100_000)));
        assert_eq!(pair.far.mapped_bytes(), 112 << 10);
        drop(value);
        settle(&pair.far, &pair.near);
        assert_eq!(pair.near.stats().segments, 0, "{kind:?}: nothing may idle");
        assert_eq!(pair.far.mapped_bytes(), 112 << 10, "nobody told the peer yet");
        assert!(pair.near.has_news(), "though nothing is given back");
        settle(&pair.near, &pair.far);
        assert_eq!(pair.far.mapped_bytes(), 0);
        assert!(!pair.near.has_news(), "it is announced once");
        assert_eq!(pair.near.pending_news().len(), 0);
    }
}

/// spec: CARD-05: sizes for which no segment can be used again cost neither memory nor the connection.
#[test]
fn segments_of_many_sizes_are_not_more_together_than_was_agreed() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let agreed = pair.near.terms().max_bytes;
        for number in 0..60 {
            let length = (120_000 + number * 41_000) % 900_000;
            for (from, to) in [(&pair.near, &pair.far), (&pair.far, &pair.near)] {
                let (value, ..) = hop(from, to, lent(result_in(from, &pattern(1, length))));
                assert_eq!(bytes_of(&value), pattern(1, length));
                drop(value);
                settle(to, from);
                // What is gone is told with the next message.
                settle(from, to);
                assert!(to.mapped_bytes() <= agreed, "{kind:?}: {}", to.mapped_bytes());
            }
        }
        pair.assert_quiet();
    }
}

#[test]
fn one_side_may_vanish_at_any_time() {
    for kind in kinds() {
        let Pair { near, far } = Pair::new(*kind);
        let (held_far, ..) = hop(&near, &far, private(pattern(1, 5000)));
        let result = result_in(&far, &pattern(2, 5000));
        let (held_near, ..) = hop(&far, &near, lent(result));
        drop(far);
        assert_eq!(bytes_of(&held_near), pattern(2, 5000), "{kind:?}");
        assert_eq!(bytes_of(&held_far), pattern(1, 5000));
        assert_eq!(near.loans().len(), 1, "only the end of the connection ends its loans");
        let arena = near.arena().clone();
        drop(near);
        assert_eq!(arena.stats().used_bytes, 0, "{kind:?}");
        assert_eq!(bytes_of(&held_near), pattern(2, 5000));
        drop((held_near, held_far));
    }
}

#[test]
fn releases_wake_the_connection_when_much_waits() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        let wake = move || {
            count.fetch_add(1, Ordering::Relaxed);
        };
        pair.far.releases().set_waker(10_000, wake);
        let send = || hop(&pair.near, &pair.far, private(pattern(1, 4000))).0;
        let values: Vec<_> = (0..6).map(|_| send()).collect();
        let mut values = values.into_iter();
        let mut drop_one = || {
            drop(values.next().unwrap());
            wakes.load(Ordering::Relaxed)
        };
        assert_eq!([drop_one(), drop_one()], [0, 0]);
        assert!(pair.far.has_news());
        assert_eq!([drop_one(), drop_one()], [1, 1], "{kind:?}: once, when it passes the limit");
        pair.settle();
        assert!(!pair.far.has_news());
        assert_eq!([drop_one(), drop_one()], [1, 1]);
        pair.assert_quiet();
    }
}

#[test]
fn nothing_is_given_back_while_a_forked_child_may_look() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        pair.far.releases().set_waker(4000, move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let (value, ..) = hop(&pair.near, &pair.far, private(pattern(1, 5000)));
        let (given_back, ..) = hop(&pair.near, &pair.far, private(pattern(3, 5000)));
        let result = result_in(&pair.far, &pattern(2, 5000));
        pair.far.hold_for_fork(true);
        let (later, ..) = hop(&pair.near, &pair.far, private(pattern(4, 5000)));
        drop((value, result, later));
        assert!(pair.far.has_news(), "the child does not know of the later one");
        let news = pair.far.pending_news();
        assert_eq!(released(&news), 1);
        tell(news, &pair.far, &pair.near).unwrap();
        let (_, sent, _) = hop(&pair.far, &pair.near, given_back);
        assert_eq!(sent.copies, 1, "the child may look at the block, so it stays here");
        assert!(!pair.far.has_news());
        assert_eq!(pair.far.pending_news().len(), 0, "{kind:?}");
        let wakes_before = wakes.load(Ordering::Relaxed);
        assert_ne!(pair.far.stats().used_bytes, 0);
        pair.far.hold_for_fork(false);
        assert_eq!(wakes.load(Ordering::Relaxed), wakes_before + 1, "what waited is not forgotten");
        pair.settle();
        assert_eq!(pair.far.stats().used_bytes, 0);
        pair.assert_quiet();
    }
}

#[test]
fn a_connection_without_shared_memory_takes_none() {
    let pair = Pair::new(*kinds().last().unwrap());
    let sent = place(&pair.near, private(pattern(1, 5000)), None);
    let refused = codec::decode::<ipc_protocol::ToWorker>(sent.frame, &Limits::default());
    assert!(refused.unwrap_err().to_string().contains("none was agreed on"));
}

#[test]
fn loans_are_reported_oldest_first() {
    let pair = Pair::new(*kinds().last().unwrap());
    let _values = [3000, 4000, 5000]
        .map(|length| hop_for(&pair.near, &pair.far, private(pattern(1, length)), Some("node")).0);
    let loans = pair.near.loans();
    assert_eq!(loans.iter().map(|loan| loan.bytes).collect::<Vec<_>>(), [3000, 4000, 5000]);
    assert!(loans.windows(2).all(|pair| pair[0].age >= pair[1].age));
}

#[test]
fn live_leases_are_listed_with_sizes() {
    for kind in kinds() {
        let pair = Pair::new(*kind);
        let lengths = || -> Vec<_> {
            pair.far.releases().alive().into_iter().map(|(bytes, _)| bytes).collect()
        };
        let [first, second, third] = [3000, 4000, 5000]
            .map(|bytes| hop(&pair.near, &pair.far, private(pattern(1, bytes))).0);
        assert_eq!(lengths(), [3000, 4000, 5000], "{kind:?}");
        drop(first);
        assert!(pair.far.releases().is_outstanding());
        assert_eq!(lengths(), [4000, 5000]);
        drop(hop(&pair.far, &pair.near, second));
        assert_eq!(lengths(), [5000], "a lease that is returned is gone too");
        drop(third);
        assert!(!pair.far.releases().is_outstanding());
        pair.assert_quiet();
    }
}

#[test]
fn an_answer_for_a_segment_that_is_gone_is_no_fault() {
    let exchange = Exchange::new(terms(*kinds().last().unwrap()), true);
    assert!(matches!(exchange.handle(Share::Attached(7), None), Ok(None)));
}
