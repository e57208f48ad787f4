//! Limits of workers in virtual time: when they are measured, and what follows from an excess.

use super::*;
use crate::limits::{Excess, Limit};
use crate::schedule::slots::MEASURE_EVERY;

const EXCESS: Excess = Excess { limit: Limit::MemoryHard, used: 2, allowed: 1 };

fn shape() -> StageShape {
    let mut shape = stage(Some(0), 0, &[]);
    shape.is_watched = true;
    shape
}

fn expired() -> Action<u32> {
    let deadline = Deadline::Limit(EXCESS);
    Action::Expire(0, Overdue { running: None, limit: Duration::ZERO, deadline })
}

/// Whether a call, which is one millisecond long, measures its worker.
fn call_measures(core: &mut Core<u32>, now: Instant) -> bool {
    let begun = core.handle(now, Event::Input(Some(1)));
    core.handle(now + Duration::from_millis(1), Event::Done(0));
    begun.contains(&Action::Measure(0))
}

#[test]
fn a_worker_without_such_limits_has_no_deadline_for_them() {
    let now = Instant::now();
    let mut core = open(vec![stage(Some(0), 0, &[])], 1);
    core.handle(now, Event::Input(Some(1)));
    assert_eq!(core.next_deadline(), None);
    assert_eq!(core.handle(now + SECOND, Event::Tick), []);
}

#[test]
fn a_worker_with_limits_is_measured_while_a_call_runs_and_not_after() {
    let mut core = open(vec![shape()], 1);
    let now = Instant::now() + SECOND;
    assert_eq!(core.next_deadline(), None);
    let begun = core.handle(now, Event::Input(Some(1)));
    assert_eq!(begun, [Action::Measure(0), item(0, 1)]);
    for round in 1..4 {
        let due = now + MEASURE_EVERY * round;
        assert_eq!(core.next_deadline(), Some(due));
        assert_eq!(core.handle(due - MEASURE_EVERY / 2, Event::Tick), []);
        assert_eq!(core.handle(due, Event::Tick), [Action::Measure(0)]);
    }
    core.handle(now + SECOND, Event::Done(0));
    assert_eq!(core.next_deadline(), None);
}

#[test]
fn short_calls_are_measured_together_and_none_too_often() {
    let mut core = open(vec![shape()], 1);
    let now = Instant::now() + SECOND;
    let measured: Vec<u32> =
        (0..40).filter(|n| call_measures(&mut core, now + MEASURE_EVERY / 8 * *n)).collect();
    assert_eq!(measured, [0, 8, 16, 24, 32]);
}

#[test]
fn an_excess_ends_the_worker_and_the_next_input_gets_another() {
    let mut core = open(vec![shape()], 1);
    let now = Instant::now() + SECOND;
    core.handle(now, Event::Input(Some(1)));
    assert_eq!(core.handle(now, Event::Exceeded(0, EXCESS)), [expired()]);
    // Another one found at the same time changes nothing, and what is still sent is dropped.
    assert_eq!(core.handle(now, Event::Exceeded(0, EXCESS)), []);
    assert_eq!(core.handle(now, Event::Output(0, 7)), []);
    assert_eq!(core.next_deadline(), None);
    let told = Action::Tell(Blame::Slot(0), 1);
    assert_eq!(core.handle(now, Event::Lost(0)), [told, Action::RoundDone(0)]);
    assert_eq!(core.handle(now, Event::Input(Some(2))), [Action::Acquire(vec![0])]);
    assert_eq!(reopen(&mut core, 0), [item(0, 2)]);
}

#[test]
fn the_making_of_nodes_and_their_cleanup_are_measured_too() {
    let now = Instant::now();
    let mut core: Core<u32> = Core::new(vec![shape()], &[false], BOUNDS);
    core.handle(now, Event::Open);
    core.handle(now, Event::Granted(0));
    let due = now + MEASURE_EVERY;
    assert_eq!(core.next_deadline(), Some(due));
    assert_eq!(core.handle(due, Event::Tick), [Action::Measure(0)]);
    core.handle(due, Event::Opened(0));
    assert_eq!(core.handle(due, Event::Close), [Action::Close(0)]);
    let due = due + MEASURE_EVERY;
    assert_eq!(core.handle(due, Event::Tick), [Action::Measure(0)]);
    assert_eq!(core.handle(due, Event::Exceeded(0, EXCESS)), [expired()]);
}

#[test]
fn an_excess_of_a_worker_that_runs_nothing_is_ignored() {
    let now = Instant::now();
    let mut core = open(vec![shape()], 1);
    assert_eq!(core.handle(now, Event::Exceeded(0, EXCESS)), []);
    die(&mut core, 0);
    assert_eq!(core.handle(now, Event::Exceeded(0, EXCESS)), []);
}
