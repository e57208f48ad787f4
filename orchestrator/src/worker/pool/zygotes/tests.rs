//! Zygotes in virtual time: when they start, are replaced, given up and ended.

use std::time::{Duration, Instant};

use super::{DELAY, MAX_DEATHS, MAX_ZYGOTES, PARK_DELAY, STAY};
use crate::worker::pool::{
    KeyId, Need, PoolAction, PoolCore, PoolEvent, PoolLimits, Turn, ZygoteNews,
};

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
    let want = PoolEvent::Want { ticket: key.number as u64, needs, turn: Turn::InOrder };
    let actions = pool.handle(now, want);
    let [PoolAction::Spawn { worker, .. }] = actions[..] else { panic!("{actions:?}") };
    let actions = pool.handle(now, PoolEvent::Started(worker));
    assert!(matches!(actions[..], [PoolAction::Grant { .. }]), "{actions:?}");
    worker
}

/// The number of the worker in use, and of the parked one.
const USED: u64 = 1;
const PARKED: u64 = 2;

/// A pool with a worker in use, a zygote and a parked worker, and the time by then.
fn with_zygote() -> (PoolCore, Instant) {
    with_zygote_in(LIMITS)
}

fn with_zygote_in(limits: PoolLimits) -> (PoolCore, Instant) {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[limits]);
    assert_eq!(session(&mut pool, now, kind(0)), USED);
    let now = now + DELAY;
    assert_eq!(pool.handle(now, PoolEvent::Tick), begin(kind(0)));
    park(&mut pool, now, ZygoteNews::Ready, PARKED);
    (pool, now)
}

/// The zygote is ready, or a moment has passed, and a worker of it is parked.
fn park(pool: &mut PoolCore, now: Instant, ready: ZygoteNews, worker: u64) {
    pool.handle(now, news(kind(0), ready));
    let actions = pool.handle(now, PoolEvent::Tick);
    assert_eq!(actions, [PoolAction::Spawn { worker, key: kind(0) }]);
    assert!(pool.is_parked(worker));
    assert_eq!(pool.handle(now, news(kind(0), ZygoteNews::Forked)), []);
    assert_eq!(pool.handle(now, PoolEvent::Started(worker)), []);
}

fn want(ticket: u64) -> PoolEvent {
    PoolEvent::Want { ticket, needs: vec![Need { key: kind(0), count: 1 }], turn: Turn::InOrder }
}

fn pictured(pool: &PoolCore) -> Vec<u64> {
    pool.picture().map(|worker| worker.id).collect()
}

#[test]
fn a_zygote_starts_a_moment_after_the_first_grant_and_not_before() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[LIMITS]);
    assert_eq!(pool.handle(now, PoolEvent::Warm(kind(0))).len(), 1);
    assert_eq!(pool.next_deadline(), None, "a worker that is only starting asks for none");
    let needs = vec![Need { key: kind(0), count: 1 }];
    pool.handle(now, PoolEvent::Want { ticket: 1, needs, turn: Turn::InOrder });
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
    let (mut pool, mut now) = with_zygote();
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
    pool.handle(now, PoolEvent::Exited(USED));
    assert!(pool.used_keys().is_empty());
    session(&mut pool, now, kind(0));
    assert_eq!(pool.next_deadline(), Some(now + DELAY), "the kind is new again");
}

#[test]
fn a_forked_worker_forgives_earlier_deaths() {
    let (mut pool, mut now) = with_zygote();
    for life in 0..3 * MAX_DEATHS {
        pool.handle(now, news(kind(0), ZygoteNews::Forked));
        let last = if life == 0 { ZygoteNews::Died } else { ZygoteNews::Failed };
        pool.handle(now, news(kind(0), last));
        now += DELAY;
        assert_eq!(pool.handle(now, PoolEvent::Tick), begin(kind(0)));
    }
}

#[test]
fn what_a_session_has_learned_starts_a_replacement_once_no_more_comes() {
    let (mut pool, now) = with_zygote();
    assert_eq!(pool.handle(now, PoolEvent::Learned(kind(0))), []);
    let later = now + DELAY / 2;
    assert_eq!(pool.handle(later, PoolEvent::Learned(kind(0))), []);
    assert_eq!(pool.handle(now + DELAY, PoolEvent::Tick), []);
    let now = later + DELAY;
    assert_eq!(pool.handle(now, PoolEvent::Tick), begin(kind(0)));
    // What comes while one starts waits for it.
    pool.handle(now, PoolEvent::Learned(kind(0)));
    assert_eq!(pool.handle(now + DELAY, PoolEvent::Tick), []);
    // The parked worker is replaced by one of the new zygote.
    let actions = pool.handle(now + DELAY, news(kind(0), ZygoteNews::Ready));
    assert_eq!(actions, [PoolAction::Retire(PARKED)]);
    let actions = pool.handle(now + DELAY, PoolEvent::Tick);
    let spawn = PoolAction::Spawn { worker: PARKED + 1, key: kind(0) };
    assert_eq!(actions, [PoolAction::BeginZygote(kind(0)), spawn]);
}

#[test]
fn a_module_that_is_left_out_and_a_changed_file_start_the_next_at_once() {
    let (mut pool, now) = with_zygote();
    let actions = pool.handle(now, news(kind(0), ZygoteNews::Stale));
    assert_eq!(actions, [PoolAction::Retire(PARKED)]);
    assert_eq!(pool.handle(now, PoolEvent::Tick), begin(kind(0)));
    for _ in 0..3 {
        assert_eq!(pool.handle(now, news(kind(0), ZygoteNews::LeavesOut)), []);
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
    let (mut pool, now) = with_zygote();
    pool.handle(now, PoolEvent::Exited(USED));
    assert!(pool.used_keys().contains(&0));
    assert_eq!(pool.next_deadline(), Some(now + IDLE));
    let actions = pool.handle(now + IDLE, PoolEvent::Tick);
    assert_eq!(actions, [PoolAction::Retire(PARKED), PoolAction::EndZygote(kind(0))]);
    assert!(pool.used_keys().is_empty());
    assert_eq!(pool.next_deadline(), None);
}

#[test]
fn closing_ends_every_zygote() {
    let (mut pool, now) = with_zygote();
    let actions = pool.handle(now, PoolEvent::Close);
    let retired = [PARKED, USED].map(PoolAction::Retire);
    let [parked, used] = retired;
    assert_eq!(actions, [parked, PoolAction::EndZygote(kind(0)), used]);
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
    pool.handle(now, news(kind(0), ZygoteNews::Forked));
    assert_eq!(pool.next_deadline(), Some(start + STAY));
    assert_eq!(pool.handle(start + STAY, PoolEvent::Tick), [], "kind 0 was used since");
    let now = start + Duration::from_millis(1) + STAY;
    assert_eq!(pool.next_deadline(), Some(now), "kind 1 was used least recently");
    let expected = [PoolAction::EndZygote(kind(1)), PoolAction::BeginZygote(kind(MAX_ZYGOTES))];
    assert_eq!(pool.handle(now, PoolEvent::Tick), expected);
}

#[test]
fn a_parked_worker_is_granted_at_once_and_replaced_a_moment_later() {
    let (mut pool, now) = with_zygote();
    assert_eq!(pictured(&pool), [USED], "it is no part of the pool");
    let workers = vec![PARKED];
    assert_eq!(pool.handle(now, want(7)), [PoolAction::Grant { ticket: 7, workers }]);
    assert_eq!(pictured(&pool), [USED, PARKED]);
    assert_eq!(pool.next_deadline(), Some(now + PARK_DELAY));
    park(&mut pool, now + PARK_DELAY, ZygoteNews::Forked, PARKED + 1);
}

#[test]
fn a_parked_worker_becomes_the_spare_that_is_missing() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { min: 1, ..LIMITS }]);
    let spawn = |worker| PoolAction::Spawn { worker, key: kind(0) };
    assert_eq!(pool.handle(now, want(1)), [spawn(1)]);
    let grant = |ticket, worker| PoolAction::Grant { ticket, workers: vec![worker] };
    assert_eq!(pool.handle(now, PoolEvent::Started(1)), [grant(1, 1), spawn(2)]);
    assert_eq!(pool.handle(now, PoolEvent::Started(2)), []);
    let now = now + DELAY;
    assert_eq!(pool.handle(now, PoolEvent::Tick), begin(kind(0)));
    park(&mut pool, now, ZygoteNews::Ready, 3);
    // The spare goes to a session, and no process is started in its place.
    assert_eq!(pool.handle(now, want(7)), [grant(7, 2)]);
    assert_eq!(pictured(&pool), [1, 2, 3]);
    assert!(!pool.is_parked(3));
    park(&mut pool, now + PARK_DELAY, ZygoteNews::Forked, 4);
}

#[test]
fn a_parked_worker_waits_for_room_in_the_pool() {
    let (mut pool, now) = with_zygote_in(PoolLimits { max: 1, ..LIMITS });
    assert_eq!(pool.handle(now, want(7)), []);
    let actions = pool.handle(now, PoolEvent::Exited(USED));
    assert_eq!(actions, [PoolAction::Grant { ticket: 7, workers: vec![PARKED] }]);
}

#[test]
fn an_idle_worker_is_granted_before_a_parked_one() {
    let (mut pool, now) = with_zygote();
    pool.handle(now, PoolEvent::Returned { worker: USED, reusable: true });
    let workers = vec![USED];
    assert_eq!(pool.handle(now, want(7)), [PoolAction::Grant { ticket: 7, workers }]);
    assert!(pool.is_parked(PARKED));
}

#[test]
fn a_parked_worker_that_is_still_starting_is_waited_for() {
    let (mut pool, now) = with_zygote();
    pool.handle(now, PoolEvent::Exited(PARKED));
    let now = now + DELAY;
    let spawn = PoolAction::Spawn { worker: PARKED + 1, key: kind(0) };
    assert_eq!(pool.handle(now, PoolEvent::Tick), [spawn], "one that has ended is replaced");
    assert_eq!(pool.handle(now, want(7)), []);
    let actions = pool.handle(now, PoolEvent::Started(PARKED + 1));
    assert_eq!(actions, [PoolAction::Grant { ticket: 7, workers: vec![PARKED + 1] }]);
}

#[test]
fn a_zygote_whose_workers_do_not_come_up_is_given_up() {
    let (mut pool, mut now) = with_zygote();
    pool.handle(now, PoolEvent::Exited(PARKED));
    for death in 1..=MAX_DEATHS {
        now += DELAY;
        let actions = pool.handle(now, PoolEvent::Tick);
        let [PoolAction::Spawn { worker, .. }] = actions[..] else { panic!("{actions:?}") };
        let expected = (death == MAX_DEATHS).then_some(PoolAction::EndZygote(kind(0)));
        let actions = pool.handle(now, PoolEvent::Exited(worker));
        assert_eq!(actions, expected.into_iter().collect::<Vec<_>>());
    }
    assert_eq!(pool.next_deadline(), None);
}
