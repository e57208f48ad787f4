//! What operators change while the pools run, and what is counted.

use std::time::{Duration, Instant};

use super::{LIMITS, back, grant, kind, other, spawn, want};
use crate::worker::pool::{Ending, Miss, Need, PoolAction, PoolCore, PoolEvent, PoolLimits, Turn};

/// A pool with this many idle workers that have served once.
fn with_idle(count: u64) -> (PoolCore, Instant) {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[LIMITS, LIMITS]);
    pool.handle(now, want(1, 0, usize::try_from(count).unwrap()));
    (1..=count).for_each(|worker| drop(pool.handle(now, PoolEvent::Started(worker))));
    (1..=count).for_each(|worker| drop(pool.handle(now, back(worker))));
    (pool, now)
}

fn configure(max: usize) -> PoolEvent {
    PoolEvent::Configure(vec![PoolLimits { max, ..LIMITS }, LIMITS])
}

/// spec: CARD-09
#[test]
fn a_smaller_pool_ends_idle_workers_at_once_and_others_when_they_come_back() {
    let (mut pool, now) = with_idle(3);
    assert_eq!(pool.handle(now, want(2, 0, 1)), [grant(2, &[1])]);
    let actions = pool.handle(now, configure(1));
    assert_eq!(actions, [PoolAction::Retire(2), PoolAction::Retire(3)]);
    assert_eq!(pool.handle(now, back(1)), [], "it is the one that may stay");
    assert_eq!(pool.handle(now, want(3, 0, 1)), [grant(3, &[1])]);
    pool.handle(now, PoolEvent::Exited(2));
    pool.handle(now, PoolEvent::Exited(3));
    assert_eq!(pool.handle(now, configure(3)), []);
    let again = pool.handle(now, want(4, 0, 2));
    assert_eq!(again, [spawn(4, kind(0)), spawn(5, kind(0))], "a larger pool starts more");
    assert_eq!(pool.handle(now, configure(1)), []);
    assert_eq!(pool.handle(now, back(1)), [PoolAction::Retire(1)], "two others start already");
}

#[test]
fn a_larger_pool_serves_a_request_that_waits() {
    let (mut pool, now) = with_idle(1);
    pool.handle(now, configure(1));
    pool.handle(now, want(2, 0, 1));
    assert_eq!(pool.handle(now, want(3, 0, 1)), []);
    assert_eq!(pool.waiting_since(0).collect::<Vec<_>>(), [now]);
    assert_eq!(pool.handle(now, configure(2)), [spawn(2, kind(0))]);
    assert_eq!(pool.handle(now, PoolEvent::Started(2)), [grant(3, &[2])]);
    assert_eq!(pool.waiting_since(0).count(), 0);
}

#[test]
fn a_further_pool_is_there_as_soon_as_it_is_configured() {
    let (mut pool, now) = with_idle(1);
    pool.handle(now, PoolEvent::Configure(vec![LIMITS, LIMITS, LIMITS]));
    let key = crate::worker::pool::KeyId { pool: 2, number: 9 };
    let needs = vec![Need { key, count: 1 }];
    let want = PoolEvent::Want { ticket: 5, needs, turn: Turn::InOrder };
    assert_eq!(pool.handle(now, want), [spawn(2, key)]);
}

/// spec: CARD-09
#[test]
fn a_recycled_pool_replaces_idle_workers_now_and_others_when_they_come_back() {
    let (mut pool, now) = with_idle(2);
    pool.handle(now, want(2, 0, 1));
    assert_eq!(pool.handle(now, PoolEvent::Recycle(0)), [PoolAction::Retire(2)]);
    assert_eq!(pool.handle(now, back(1)), [PoolAction::Retire(1)]);
    let fresh = pool.handle(now, want(3, 0, 1));
    assert_eq!(fresh, [spawn(3, kind(0))]);
    pool.handle(now, PoolEvent::Started(3));
    assert_eq!(pool.handle(now, back(3)), [], "it was started after that");
}

#[test]
fn recycling_leaves_other_pools_alone() {
    let (mut pool, now) = with_idle(2);
    assert_eq!(pool.handle(now, PoolEvent::Recycle(1)), []);
}

/// spec: CARD-09
#[test]
fn a_drained_pool_refuses_new_sessions_and_lets_open_ones_go_on() {
    let (mut pool, now) = with_idle(1);
    pool.handle(now, PoolEvent::Drain(0, true));
    assert!(pool.is_drained(0));
    assert_eq!(pool.handle(now, want(2, 0, 1)), [PoolAction::Drained(2, 0)]);
    let needs = vec![Need { key: kind(0), count: 1 }];
    let open = PoolEvent::Want { ticket: 3, needs, turn: Turn::First };
    assert_eq!(pool.handle(now, open), [grant(3, &[1])], "it holds workers already");
    let elsewhere = super::want_all(4, &[(other(7), 1)]);
    assert_eq!(pool.handle(now, elsewhere), [spawn(2, other(7))]);
    pool.handle(now, PoolEvent::Drain(0, false));
    pool.handle(now, back(1));
    assert_eq!(pool.handle(now, want(5, 0, 1)), [grant(5, &[1])]);
}

#[test]
fn what_sessions_find_is_counted_with_the_reason_of_each_miss() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { max: 2, ..LIMITS }]);
    pool.handle(now, want(1, 0, 1));
    pool.handle(now, PoolEvent::Started(1));
    pool.handle(now, want(2, 0, 1));
    pool.handle(now, PoolEvent::Started(2));
    pool.handle(now, back(1));
    pool.handle(now, want(3, 0, 1));
    pool.handle(now, back(2));
    pool.handle(now, want(4, 1, 1));
    let tally = pool.tally(0);
    assert_eq!((tally.hits, tally.spares), (1, 0));
    let misses: Vec<_> = tally.misses.iter().map(|(miss, count)| (*miss, *count)).collect();
    assert_eq!(misses, [(Miss::First, 1), (Miss::InUse, 1), (Miss::OtherKind, 1)]);
}

#[test]
fn a_miss_after_the_last_worker_says_how_that_ended() {
    let (mut pool, now) = with_idle(1);
    let later = now + Duration::from_secs(61);
    assert_eq!(pool.handle(later, PoolEvent::Tick), [PoolAction::Retire(1)]);
    pool.handle(later, PoolEvent::Exited(1));
    pool.handle(later, want(2, 0, 1));
    let idle = Miss::Ended(Ending::Idle);
    assert_eq!(pool.tally(0).misses.get(&idle), Some(&1));
    pool.handle(later, PoolEvent::Started(2));
    pool.handle(later, PoolEvent::Exited(2));
    pool.handle(later, want(3, 0, 1));
    assert_eq!(pool.tally(0).misses.get(&Miss::Ended(Ending::Died)), Some(&1));
    assert_eq!(idle.word(), "idle_timeout");
}
