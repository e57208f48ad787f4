//! Zygotes in virtual time: when they start, are replaced, given up and ended.

use std::time::{Duration, Instant};

use super::{DELAY, MAX_DEATHS, MAX_ZYGOTES, STAY};
use crate::worker::pool::{KeyId, Need, PoolAction, PoolCore, PoolEvent, PoolLimits, ZygoteNews};

const IDLE: Duration = Duration::from_secs(60);
const LIMITS: PoolLimits =
    PoolLimits { min: 0, max: 8, idle_timeout: Some(IDLE), max_sessions: None, zygotes: true };

fn kind(number: usize) -> KeyId {
    KeyId { pool: 0, number }
}

fn news(key: KeyId, news: ZygoteNews) -> PoolEvent {
    PoolEvent::Zygote { key, news }
}

fn begin(key: KeyId) -> Vec<PoolAction> {
    vec![PoolAction::BeginZygote(key)]
}

/// A session of a kind gets its first worker, whose number is returned.
fn session(pool: &mut PoolCore, now: Instant, key: KeyId) -> u64 {
    let needs = vec![Need { key, count: 1 }];
    let want = PoolEvent::Want { ticket: key.number as u64, needs, holds: false };
    let actions = pool.handle(now, want);
    let [PoolAction::Spawn { worker, .. }] = actions[..] else { panic!("{actions:?}") };
    let actions = pool.handle(now, PoolEvent::Started(worker));
    assert!(matches!(actions[..], [PoolAction::Grant { .. }]), "{actions:?}");
    worker
}

/// A pool with a worker in use and a zygote that is ready, and the time by then.
fn with_zygote() -> (PoolCore, u64, Instant) {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[LIMITS]);
    let worker = session(&mut pool, now, kind(0));
    let now = now + DELAY;
    assert_eq!(pool.handle(now, PoolEvent::Tick), begin(kind(0)));
    assert_eq!(pool.handle(now, news(kind(0), ZygoteNews::Ready)), []);
    (pool, worker, now)
}

#[test]
fn a_zygote_starts_a_moment_after_the_first_grant_and_not_before() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[LIMITS]);
    assert_eq!(pool.handle(now, PoolEvent::Warm(kind(0))).len(), 1);
    assert_eq!(pool.next_deadline(), None, "a worker that is only starting asks for none");
    let needs = vec![Need { key: kind(0), count: 1 }];
    pool.handle(now, PoolEvent::Want { ticket: 1, needs, holds: false });
    assert_eq!(pool.next_deadline(), None);
    pool.handle(now, PoolEvent::Started(1));
    assert_eq!(pool.next_deadline(), Some(now + DELAY));
    assert_eq!(pool.handle(now + DELAY / 2, PoolEvent::Tick), []);
    assert_eq!(pool.handle(now + DELAY, PoolEvent::Tick), begin(kind(0)));
    assert_eq!(pool.handle(now + DELAY * 2, PoolEvent::Tick), [], "one is starting");
    assert!(pool.used_keys().contains(&0));
}

#[test]
fn a_pool_without_zygotes_starts_none() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { zygotes: false, ..LIMITS }]);
    session(&mut pool, now, kind(0));
    assert_eq!(pool.next_deadline(), None);
    assert_eq!(pool.handle(now + DELAY, PoolEvent::Tick), []);
}

#[test]
fn a_zygote_that_dies_is_replaced_until_three_died_in_a_row() {
    let (mut pool, worker, mut now) = with_zygote();
    for death in 1..=MAX_DEATHS {
        let last = if death == 1 { ZygoteNews::Died } else { ZygoteNews::Failed };
        assert_eq!(pool.handle(now, news(kind(0), last)), []);
        now += DELAY;
        let expected = if death < MAX_DEATHS { begin(kind(0)) } else { Vec::new() };
        assert_eq!(pool.handle(now, PoolEvent::Tick), expected, "after death {death}");
    }
    assert_eq!(pool.handle(now, PoolEvent::Learned(kind(0))), []);
    assert_eq!(pool.handle(now + DELAY, PoolEvent::Tick), []);
    assert!(pool.used_keys().contains(&0), "its worker lives");
    pool.handle(now, PoolEvent::Exited(worker));
    assert!(pool.used_keys().is_empty());
    session(&mut pool, now, kind(0));
    assert_eq!(pool.next_deadline(), Some(now + DELAY), "the kind is new again");
}

#[test]
fn a_forked_worker_forgives_earlier_deaths() {
    let (mut pool, _, mut now) = with_zygote();
    for _ in 0..3 * MAX_DEATHS {
        pool.handle(now, news(kind(0), ZygoteNews::Forked));
        pool.handle(now, news(kind(0), ZygoteNews::Died));
        now += DELAY;
        assert_eq!(pool.handle(now, PoolEvent::Tick), begin(kind(0)));
        pool.handle(now, news(kind(0), ZygoteNews::Ready));
    }
}

#[test]
fn what_a_session_has_learned_starts_a_replacement_once_no_more_comes() {
    let (mut pool, _, now) = with_zygote();
    assert_eq!(pool.handle(now, PoolEvent::Learned(kind(0))), []);
    let later = now + DELAY / 2;
    assert_eq!(pool.handle(later, PoolEvent::Learned(kind(0))), []);
    assert_eq!(pool.handle(now + DELAY, PoolEvent::Tick), []);
    let now = later + DELAY;
    assert_eq!(pool.handle(now, PoolEvent::Tick), begin(kind(0)));
    // What comes while one starts waits for it.
    pool.handle(now, PoolEvent::Learned(kind(0)));
    assert_eq!(pool.handle(now + DELAY, PoolEvent::Tick), []);
    pool.handle(now + DELAY, news(kind(0), ZygoteNews::Ready));
    assert_eq!(pool.handle(now + DELAY, PoolEvent::Tick), begin(kind(0)));
}

#[test]
fn a_module_that_is_left_out_and_a_changed_file_start_the_next_at_once() {
    let (mut pool, _, now) = with_zygote();
    for last in [ZygoteNews::Stale, ZygoteNews::LeavesOut, ZygoteNews::LeavesOut] {
        assert_eq!(pool.handle(now, news(kind(0), last)), []);
        assert_eq!(pool.handle(now, PoolEvent::Tick), begin(kind(0)));
    }
}

#[test]
fn an_unfit_kind_gets_no_zygote() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[LIMITS]);
    let worker = session(&mut pool, now, kind(0));
    assert_eq!(pool.handle(now + DELAY, PoolEvent::Tick), begin(kind(0)));
    pool.handle(now + DELAY, news(kind(0), ZygoteNews::Unfit));
    pool.handle(now + DELAY, PoolEvent::Returned { worker, reusable: true });
    assert_eq!(pool.handle(now + DELAY * 2, PoolEvent::Tick), []);
}

#[test]
fn a_zygote_outlives_the_last_worker_by_the_time_that_a_worker_may_be_idle() {
    let (mut pool, worker, now) = with_zygote();
    pool.handle(now, PoolEvent::Exited(worker));
    assert!(pool.used_keys().contains(&0));
    assert_eq!(pool.next_deadline(), Some(now + IDLE));
    assert_eq!(pool.handle(now + IDLE, PoolEvent::Tick), [PoolAction::EndZygote(kind(0))]);
    assert!(pool.used_keys().is_empty());
    assert_eq!(pool.next_deadline(), None);
}

#[test]
fn closing_ends_every_zygote() {
    let (mut pool, worker, now) = with_zygote();
    let actions = pool.handle(now, PoolEvent::Close);
    assert_eq!(actions, [PoolAction::EndZygote(kind(0)), PoolAction::Retire(worker)]);
    assert_eq!(pool.handle(now, news(kind(0), ZygoteNews::Died)), []);
    assert_eq!(pool.next_deadline(), None);
}

#[test]
fn a_pool_has_few_zygotes_and_the_one_used_least_makes_room() {
    let start = Instant::now();
    let mut pool = PoolCore::new(&[LIMITS]);
    for number in 0..=MAX_ZYGOTES {
        session(&mut pool, start + Duration::from_millis(number as u64), kind(number));
    }
    let now = start + DELAY * 2;
    let begun: Vec<_> = (0..MAX_ZYGOTES).flat_map(|number| begin(kind(number))).collect();
    assert_eq!(pool.handle(now, PoolEvent::Tick), begun);
    for number in 0..MAX_ZYGOTES {
        pool.handle(now, news(kind(number), ZygoteNews::Ready));
    }
    pool.handle(now, news(kind(0), ZygoteNews::Forked));
    assert_eq!(pool.next_deadline(), Some(start + STAY));
    assert_eq!(pool.handle(start + STAY, PoolEvent::Tick), [], "kind 0 was used since");
    let now = start + Duration::from_millis(1) + STAY;
    assert_eq!(pool.next_deadline(), Some(now), "kind 1 was used least recently");
    let expected = [PoolAction::EndZygote(kind(1)), PoolAction::BeginZygote(kind(MAX_ZYGOTES))];
    assert_eq!(pool.handle(now, PoolEvent::Tick), expected);
}
