//! The pool core in virtual time: order of requests, bounds, reuse, recycling; random lives of
//! workers, and a walk over every arrow of the life cycle.

mod tune;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{KeyId, Need, PoolAction, PoolCore, PoolEvent, PoolLimits, Turn};
use crate::worker::state::{LifeEvent, LifeState, TRANSITIONS};

const LIMITS: PoolLimits = PoolLimits {
    min: 0,
    max: 3,
    idle_timeout: Some(Duration::from_secs(60)),
    max_sessions: None,
    zygotes: false,
};

/// A kind of worker of the first pool.
fn kind(number: usize) -> KeyId {
    KeyId { pool: 0, number }
}

/// A kind of worker of the second pool.
fn other(number: usize) -> KeyId {
    KeyId { pool: 1, number }
}

fn want(ticket: u64, key: usize, count: usize) -> PoolEvent {
    want_all(ticket, &[(kind(key), count)])
}

fn want_all(ticket: u64, needs: &[(KeyId, usize)]) -> PoolEvent {
    let needs = needs.iter().map(|(key, count)| Need { key: *key, count: *count }).collect();
    PoolEvent::Want { ticket, needs, turn: Turn::InOrder }
}

fn spawn(worker: u64, key: KeyId) -> PoolAction {
    PoolAction::Spawn { worker, key }
}

fn back(worker: u64) -> PoolEvent {
    PoolEvent::Returned { worker, reusable: true }
}

fn grant(ticket: u64, workers: &[u64]) -> PoolAction {
    PoolAction::Grant { ticket, workers: workers.to_vec() }
}

#[test]
fn a_session_that_holds_a_worker_is_served_before_those_that_hold_none() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { max: 1, ..LIMITS }]);
    pool.handle(now, want(1, 0, 1));
    assert_eq!(pool.handle(now, PoolEvent::Started(1)), [grant(1, &[1])]);
    pool.handle(now, want(2, 0, 1));
    let needs = vec![Need { key: kind(0), count: 1 }];
    pool.handle(now, PoolEvent::Want { ticket: 3, needs, turn: Turn::First });
    assert_eq!(pool.handle(now, back(1)), [grant(3, &[1])]);
}

#[test]
fn the_first_worker_of_a_kind_is_started_ahead_and_granted_when_it_is_there() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { max: 1, ..LIMITS }]);
    assert_eq!(pool.handle(now, PoolEvent::Warm(kind(0))), [spawn(1, kind(0))]);
    assert_eq!(pool.handle(now, PoolEvent::Warm(kind(0))), [], "there is one");
    assert_eq!(pool.handle(now, PoolEvent::Warm(kind(1))), [], "there is no room");
    assert_eq!(pool.handle(now, want(1, 0, 1)), [], "the one that is coming is waited for");
    assert_eq!(pool.handle(now, PoolEvent::Started(1)), [grant(1, &[1])]);
    pool.handle(now, PoolEvent::Close);
    assert_eq!(pool.handle(now, PoolEvent::Warm(kind(2))), []);
}

#[test]
fn a_worker_is_started_granted_and_used_again() {
    // spec: CARD-02
    let now = Instant::now();
    let mut pool = PoolCore::new(&[LIMITS]);
    assert_eq!(pool.handle(now, want(1, 0, 1)), [spawn(1, kind(0))]);
    assert_eq!(pool.handle(now, PoolEvent::Started(1)), [grant(1, &[1])]);
    assert_eq!(pool.handle(now, back(1)), []);
    assert_eq!(pool.handle(now, want(2, 0, 1)), [grant(2, &[1])]);
}

#[test]
fn requests_are_met_whole_and_in_order() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[LIMITS]);
    pool.handle(now, want(1, 0, 2));
    assert_eq!(pool.handle(now, PoolEvent::Started(1)), []);
    assert_eq!(pool.handle(now, PoolEvent::Started(2)), [grant(1, &[1, 2])]);
    // Two more do not fit beside the two in use; the smaller request behind must wait its turn.
    assert_eq!(pool.handle(now, want(2, 0, 2)), [spawn(3, kind(0))]);
    assert_eq!(pool.handle(now, PoolEvent::Started(3)), []);
    assert_eq!(pool.handle(now, want(3, 0, 1)), []);
    assert_eq!(pool.handle(now, back(1)), [grant(2, &[1, 3])]);
    assert_eq!(pool.handle(now, back(2)), [grant(3, &[2])]);
}

#[test]
fn idle_workers_of_another_kind_make_room() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { max: 1, ..LIMITS }]);
    pool.handle(now, want(1, 0, 1));
    pool.handle(now, PoolEvent::Started(1));
    pool.handle(now, back(1));
    assert_eq!(pool.handle(now, want(2, 1, 1)), [PoolAction::Retire(1), spawn(2, kind(1))]);
}

#[test]
fn a_worker_that_takes_long_to_end_holds_up_no_request() {
    // spec: CARD-08
    let now = Instant::now();
    let used_up = |worker| PoolEvent::Returned { worker, reusable: false };
    let mut pool = PoolCore::new(&[PoolLimits { max: 1, ..LIMITS }]);
    for worker in [1, 2] {
        assert_eq!(pool.handle(now, want(worker, 0, 1)), [spawn(worker, kind(0))]);
        assert_eq!(pool.handle(now, PoolEvent::Started(worker)), [grant(worker, &[worker])]);
        assert_eq!(pool.handle(now, used_up(worker)), [PoolAction::Retire(worker)]);
    }
    // As many end as there may be: the first of them is not waited for any longer.
    assert_eq!(pool.handle(now, want(3, 0, 1)), [PoolAction::Kill(1)]);
    assert_eq!(pool.handle(now, PoolEvent::Tick), [], "one is enough");
    assert_eq!(pool.handle(now, PoolEvent::Exited(1)), [spawn(3, kind(0))]);
}

#[test]
fn a_worker_that_ends_is_not_killed_while_that_makes_no_room() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { max: 1, max_sessions: Some(1), ..LIMITS }]);
    pool.handle(now, want(1, 0, 1));
    pool.handle(now, PoolEvent::Started(1));
    assert_eq!(pool.handle(now, back(1)), [PoolAction::Retire(1)]);
    assert_eq!(pool.handle(now, want(2, 0, 1)), [spawn(2, kind(0))]);
    pool.handle(now, PoolEvent::Started(2));
    assert_eq!(pool.handle(now, want(3, 0, 1)), [], "the worker is in use");
    assert_eq!(pool.handle(now, at_once(4)), [PoolAction::Overload(4)]);
    assert_eq!(pool.handle(now, back(2)), [PoolAction::Retire(2), PoolAction::Kill(1)]);
}

#[test]
fn pools_have_bounds_of_their_own_and_do_not_wait_for_each_other() {
    // spec: CARD-03
    let now = Instant::now();
    let one = PoolLimits { max: 1, ..LIMITS };
    let mut pool = PoolCore::new(&[one, one]);
    assert_eq!(pool.handle(now, want(1, 0, 1)), [spawn(1, kind(0))]);
    assert_eq!(pool.handle(now, PoolEvent::Started(1)), [grant(1, &[1])]);
    // The first pool is used up; who needs the second goes on at once.
    assert_eq!(pool.handle(now, want(2, 0, 1)), []);
    assert_eq!(pool.handle(now, want_all(3, &[(other(1), 1)])), [spawn(2, other(1))]);
    assert_eq!(pool.handle(now, PoolEvent::Started(2)), [grant(3, &[2])]);
    assert_eq!(pool.handle(now, back(1)), [grant(2, &[1])]);
}

#[test]
fn workers_of_both_pools_are_granted_in_one_step_or_not_at_all() {
    // spec: CARD-03, IOP-41
    let now = Instant::now();
    let one = PoolLimits { max: 1, ..LIMITS };
    let mut pool = PoolCore::new(&[one, one]);
    pool.handle(now, want(1, 0, 1));
    pool.handle(now, PoolEvent::Started(1));
    let both = want_all(2, &[(other(1), 1), (kind(0), 1)]);
    assert_eq!(pool.handle(now, both), [spawn(2, other(1))]);
    assert_eq!(pool.handle(now, PoolEvent::Started(2)), []);
    // It holds nothing while it waits, and nobody who needs one of its pools overtakes it.
    assert_eq!(pool.handle(now, want_all(3, &[(other(1), 1)])), []);
    assert_eq!(pool.handle(now, back(1)), [grant(2, &[2, 1])]);
    assert_eq!(pool.handle(now, back(2)), [grant(3, &[2])]);
}

#[test]
fn each_pool_keeps_its_own_spares_and_lets_its_own_idle_workers_go() {
    // spec: CARD-03
    let now = Instant::now();
    let keeps = PoolLimits { min: 1, max: 2, ..LIMITS };
    let mut pool = PoolCore::new(&[LIMITS, keeps]);
    pool.handle(now, want_all(1, &[(kind(0), 1), (other(1), 1)]));
    pool.handle(now, PoolEvent::Started(1));
    let actions = pool.handle(now, PoolEvent::Started(2));
    assert_eq!(actions, [grant(1, &[1, 2]), spawn(3, other(1))]);
    pool.handle(now, PoolEvent::Started(3));
    pool.handle(now, back(1));
    pool.handle(now, back(2));
    let later = now + Duration::from_secs(60);
    assert_eq!(pool.next_deadline(), Some(later));
    let actions = pool.handle(later, PoolEvent::Tick);
    assert_eq!(actions, [PoolAction::Retire(1), PoolAction::Retire(2)]);
}

#[test]
fn a_worker_that_does_not_come_up_refuses_the_requests_for_its_kind() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[LIMITS]);
    pool.handle(now, want(1, 0, 1));
    pool.handle(now, want(2, 1, 1));
    let actions = pool.handle(now, PoolEvent::Exited(1));
    assert_eq!(actions, [PoolAction::Refuse(1), spawn(2, kind(1))]);
}

#[test]
fn idle_workers_go_after_a_while_but_for_the_minimum() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { min: 1, ..LIMITS }]);
    pool.handle(now, want(1, 0, 2));
    pool.handle(now, PoolEvent::Started(1));
    pool.handle(now, PoolEvent::Started(2));
    pool.handle(now, back(1));
    let actions = pool.handle(now, back(2));
    assert_eq!(actions, []);
    let later = now + Duration::from_secs(60);
    assert_eq!(pool.next_deadline(), Some(later));
    assert_eq!(pool.handle(later, PoolEvent::Tick), [PoolAction::Retire(1)]);
    assert_eq!(pool.next_deadline(), None);
}

#[test]
fn the_minimum_is_kept_ready_also_after_a_death() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { min: 1, ..LIMITS }]);
    pool.handle(now, want(1, 0, 1));
    // The spare is started when the first worker is taken.
    let actions = pool.handle(now, PoolEvent::Started(1));
    assert_eq!(actions, [grant(1, &[1]), spawn(2, kind(0))]);
    pool.handle(now, PoolEvent::Started(2));
    let actions = pool.handle(now, PoolEvent::Exited(2));
    assert_eq!(actions, [spawn(3, kind(0))]);
}

#[test]
fn a_used_up_or_unusable_worker_is_replaced() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { max_sessions: Some(1), ..LIMITS }]);
    pool.handle(now, want(1, 0, 1));
    pool.handle(now, PoolEvent::Started(1));
    assert_eq!(pool.handle(now, back(1)), [PoolAction::Retire(1)]);
    pool.handle(now, want(2, 0, 1));
    pool.handle(now, PoolEvent::Started(2));
    let unusable = PoolEvent::Returned { worker: 2, reusable: false };
    assert_eq!(pool.handle(now, unusable), [PoolAction::Retire(2)]);
}

#[test]
fn closing_ends_everything_and_refuses_who_waits() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { max: 1, ..LIMITS }]);
    pool.handle(now, want(1, 0, 1));
    pool.handle(now, PoolEvent::Started(1));
    pool.handle(now, want(2, 0, 1));
    let actions = pool.handle(now, PoolEvent::Close);
    assert_eq!(actions, [PoolAction::Retire(1), PoolAction::Refuse(2)]);
    assert_eq!(pool.handle(now, want(3, 0, 1)), [PoolAction::Refuse(3)]);
}

/// Random lives. Checks the promises of the pool after every event and gives the arrows walked.
fn live(dice: &[u8]) -> HashSet<(LifeState, LifeEvent)> {
    let mut now = Instant::now();
    let limits = PoolLimits { min: 1, max: 3, max_sessions: Some(3), ..LIMITS };
    let mut pool = PoolCore::new(&[limits]);
    let mut granted: HashMap<u64, u64> = HashMap::new();
    let mut walked = HashSet::new();
    let mut tickets = 0;
    for die in dice {
        now += Duration::from_secs(u64::from(die % 40));
        let workers: Vec<(u64, LifeState)> = pool.picture().map(|w| (w.id, w.state)).collect();
        let before: HashMap<u64, LifeState> = workers.iter().copied().collect();
        let chosen = workers.get(usize::from(die / 8) % workers.len().max(1)).copied();
        let event = match (die % 8, chosen) {
            (0 | 1, _) | (_, None) => {
                tickets += 1;
                want(tickets, usize::from(die / 64), 1 + usize::from(die % 3))
            }
            (2 | 3, Some((id, LifeState::Starting))) => PoolEvent::Started(id),
            (2..=4, Some((id, LifeState::Busy))) => {
                PoolEvent::Returned { worker: id, reusable: die % 5 > 0 }
            }
            (5, _) => PoolEvent::Tick,
            (6, _) => PoolEvent::Withdraw(u64::from(*die)),
            (_, Some((id, _))) => PoolEvent::Exited(id),
        };
        if let PoolEvent::Returned { worker, .. } | PoolEvent::Exited(worker) = event {
            granted.remove(&worker);
        }
        if let PoolEvent::Exited(worker) = event {
            walked.insert((before[&worker], LifeEvent::Exited));
        }
        for action in pool.handle(now, event.clone()) {
            if let PoolAction::Grant { ticket, workers } = action {
                for worker in workers {
                    assert_eq!(granted.insert(worker, ticket), None, "a worker has one session");
                }
            }
        }
        let after: HashMap<u64, LifeState> = pool.picture().map(|w| (w.id, w.state)).collect();
        let staying = after.values().filter(|state| **state != LifeState::Draining).count();
        assert!(staying <= limits.max, "the bound holds");
        assert!(after.len() <= 2 * limits.max, "also with those whose place others have taken");
        for (worker, state) in &after {
            let Some(from) = before.get(worker) else { continue };
            let arrow = TRANSITIONS.iter().find(|(f, _, to)| f == from && to == state);
            walked.extend(arrow.map(|(from, on, _)| (*from, *on)));
        }
    }
    walked
}

#[test]
fn every_arrow_of_the_life_cycle_is_walked() {
    let mut walked = HashSet::new();
    let mut seed = 1_u32;
    for _ in 0..400 {
        let dice: Vec<u8> = (0..60)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                seed.to_be_bytes()[0]
            })
            .collect();
        walked.extend(live(&dice));
    }
    // Closing retires workers that are still starting.
    let now = Instant::now();
    let mut pool = PoolCore::new(&[LIMITS]);
    pool.handle(now, want(1, 0, 1));
    pool.handle(now, PoolEvent::Close);
    assert!(pool.picture().any(|w| w.id == 1 && w.state == LifeState::Draining));
    walked.insert((LifeState::Starting, LifeEvent::Retired));
    let missing: Vec<_> =
        TRANSITIONS.iter().filter(|(from, on, _)| !walked.contains(&(*from, *on))).collect();
    assert!(missing.is_empty(), "no test walks {missing:?}");
}

proptest! {
    #[test]
    fn the_promises_hold_in_every_life(dice in proptest::collection::vec(any::<u8>(), 0..200)) {
        live(&dice);
    }
}

fn at_once(ticket: u64) -> PoolEvent {
    let needs = vec![Need { key: kind(0), count: 1 }];
    PoolEvent::Want { ticket, needs, turn: Turn::Now }
}

#[test]
fn who_does_not_wait_is_refused_when_all_workers_are_in_use() {
    // spec: CARD-07
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { max: 2, ..LIMITS }]);
    // A worker that has to start is no reason: it is nobody else's.
    assert_eq!(pool.handle(now, at_once(1)), [spawn(1, kind(0))]);
    assert_eq!(pool.handle(now, PoolEvent::Started(1)), [grant(1, &[1])]);
    assert_eq!(pool.handle(now, at_once(2)), [spawn(2, kind(0))]);
    assert_eq!(pool.handle(now, PoolEvent::Started(2)), [grant(2, &[2])]);
    assert_eq!(pool.handle(now, at_once(3)), [PoolAction::Overload(3)]);
    // Nor does it overtake those that wait.
    assert_eq!(pool.handle(now, want(4, 0, 2)), []);
    pool.handle(now, back(1));
    assert_eq!(pool.handle(now, at_once(5)), [PoolAction::Overload(5)]);
    assert_eq!(pool.handle(now, back(2)), [grant(4, &[1, 2])]);
}

#[test]
fn several_that_do_not_wait_get_workers_side_by_side() {
    // spec: CARD-02
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { max: 3, ..LIMITS }]);
    assert_eq!(pool.handle(now, at_once(1)), [spawn(1, kind(0))]);
    assert_eq!(pool.handle(now, at_once(2)), [spawn(2, kind(0))]);
    assert_eq!(pool.handle(now, at_once(3)), [spawn(3, kind(0))]);
    assert_eq!(pool.handle(now, at_once(4)), [PoolAction::Overload(4)], "the pool is full");
    // A request that waits comes behind them.
    assert_eq!(pool.handle(now, want(5, 0, 1)), []);
    assert_eq!(pool.handle(now, at_once(6)), [PoolAction::Overload(6)]);
    assert_eq!(pool.handle(now, PoolEvent::Started(2)), [grant(1, &[2])]);
    assert_eq!(pool.handle(now, PoolEvent::Started(1)), [grant(2, &[1])]);
    assert_eq!(pool.handle(now, back(1)), [grant(3, &[1])]);
    assert_eq!(pool.handle(now, PoolEvent::Started(3)), [grant(5, &[3])]);
}

#[test]
fn who_does_not_wait_gets_the_place_of_an_idle_worker_of_another_kind() {
    let now = Instant::now();
    let mut pool = PoolCore::new(&[PoolLimits { max: 1, ..LIMITS }]);
    pool.handle(now, want(1, 1, 1));
    pool.handle(now, PoolEvent::Started(1));
    pool.handle(now, back(1));
    assert_eq!(pool.handle(now, at_once(2)), [PoolAction::Retire(1), spawn(2, kind(0))]);
    assert_eq!(pool.handle(now, PoolEvent::Tick), []);
    assert_eq!(pool.handle(now, PoolEvent::Started(2)), [grant(2, &[2])]);
}
