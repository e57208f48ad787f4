//! Tries, deadlines of items and breakers in virtual time.

use super::*;
use crate::model::{Breaker, OnOpen, Retry};

const MS: Duration = Duration::from_millis(1);
const RETRY: Retry = Retry { limit: 3, delay: Duration::from_millis(100) };
const PASSES: Failure = Failure { kept_at: Some(0), is_transient: true };
const STAYS: Failure = Failure { kept_at: Some(0), is_transient: false };

fn alone(change: impl FnOnce(&mut StageShape)) -> Core<u32> {
    let mut shape = stage(Some(0), 0, &[]);
    shape.retries = vec![Some(RETRY)];
    change(&mut shape);
    open(vec![shape], 1)
}

fn call(value: u32) -> Action<u32> {
    Action::Call { stage: 0, work: Work::Item(value) }
}

fn told(tries: u32) -> Action<u32> {
    Action::Tell(Blame::Stage(0), tries)
}

#[test]
fn what_passes_is_tried_again_after_100_200_and_400_ms_and_then_told() {
    // spec: NRA-08
    let mut now = Instant::now();
    let mut core = alone(|_| {});
    assert_eq!(core.handle(now, Event::Input(Some(1))), [call(1)]);
    for wait in [100, 200, 400] {
        let at = now + wait * MS;
        assert_eq!(core.handle(now, Event::Failed(0, PASSES)), [Action::TryLater(0, at)]);
        assert_eq!(core.next_deadline(), Some(at));
        assert_eq!(core.handle(at - MS, Event::Tick), []);
        assert_eq!(core.handle(at, Event::Tick), [Action::Retry(0)]);
        now = at;
    }
    // The worker holds the call open; this message ends it.
    assert_eq!(core.handle(now, Event::Failed(0, PASSES)), [told(4), Action::Abort(0)]);
    assert_eq!(core.handle(now, Event::Done(0)), [Action::RoundDone(0)]);
    assert_eq!(core.handle(now, Event::Input(Some(2))), [call(2)]);
}

#[test]
fn what_does_not_pass_is_told_at_once() {
    // spec: NRA-09
    let now = Instant::now();
    let mut core = alone(|_| {});
    core.handle(now, Event::Input(Some(1)));
    assert_eq!(core.handle(now, Event::Failed(0, STAYS)), [told(1), Action::Abort(0)]);
    let mut core = alone(|shape| shape.retries = vec![None]);
    core.handle(now, Event::Input(Some(1)));
    assert_eq!(core.handle(now, Event::Failed(0, PASSES)), [told(1), Action::Abort(0)]);
}

#[test]
fn a_success_after_a_failure_is_a_success() {
    // spec: NRA-08, DSG-15
    let now = Instant::now();
    let mut core = alone(|_| {});
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Failed(0, PASSES));
    let at = now + 100 * MS;
    core.handle(at, Event::Tick);
    let given = Action::Deliver { stage: 0, round: 0, value: 7 };
    assert_eq!(core.handle(at, Event::Output(0, 7)), [given]);
    assert_eq!(core.handle(at, Event::Done(0)), [Action::RoundDone(0)]);
    // The next item has all its tries again.
    core.handle(at, Event::Input(Some(2)));
    let next = at + 100 * MS;
    assert_eq!(core.handle(at, Event::Failed(0, PASSES)), [Action::TryLater(0, next)]);
}

#[test]
fn another_stage_of_the_worker_works_while_one_waits() {
    let now = Instant::now();
    let mut shapes = vec![stage(Some(0), 0, &[]), stage(Some(0), 0, &[])];
    shapes[1].retries = vec![Some(RETRY)];
    let mut core = open(shapes, 1);
    let second = Action::Call { stage: 1, work: Work::Item(1) };
    assert_eq!(core.handle(now, Event::Input(Some(1))), [second]);
    let at = now + 100 * MS;
    let actions = core.handle(now, Event::Failed(1, PASSES));
    assert_eq!(actions, [Action::TryLater(1, at), call(1)]);
    // Its time comes while the worker is busy: it follows when the worker is free.
    assert_eq!(core.handle(at, Event::Tick), []);
    assert_eq!(core.next_deadline(), None);
    assert_eq!(core.handle(at, Event::Done(0)), [Action::Retry(1)]);
}

#[test]
fn no_try_begins_after_the_deadline_of_its_item_and_none_outlasts_it() {
    let now = Instant::now();
    let mut core = alone(|shape| shape.deadline = Some(250 * MS));
    core.handle(now, Event::Input(Some(1)));
    assert_eq!(core.next_deadline(), Some(now + 250 * MS));
    core.handle(now, Event::Failed(0, PASSES));
    core.handle(now + 100 * MS, Event::Tick);
    // 200 ms later there is no time left.
    let actions = core.handle(now + 100 * MS, Event::Failed(0, PASSES));
    assert_eq!(actions, [told(2), Action::Abort(0)]);

    let mut core = alone(|shape| shape.deadline = Some(250 * MS));
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Failed(0, PASSES));
    core.handle(now + 100 * MS, Event::Tick);
    let overdue = Overdue { running: None, limit: 250 * MS, deadline: Deadline::Item };
    let actions = core.handle(now + 250 * MS, Event::Tick);
    assert_eq!(actions, [Action::Expire(0, overdue)]);
}

#[test]
fn a_call_that_is_lost_with_its_worker_is_repeated_where_that_is_asked_for() {
    // spec: CARD-08
    let now = Instant::now();
    let mut core = alone(|shape| {
        shape.repeats = Some(RETRY);
        shape.state = StateLoss::Stateless;
    });
    core.handle(now, Event::Input(Some(1)));
    let later = |actions: Vec<Action<u32>>| match actions.as_slice() {
        [Action::TryLater(0, at)] => *at,
        other => panic!("{other:?}"),
    };
    let at = later(die(&mut core, 0));
    // The next worker is asked for when the call is due.
    assert_eq!(core.handle(at, Event::Tick), [Action::Acquire(vec![0])]);
    assert_eq!(core.handle(at, Event::Granted(0)), [Action::Open(0)]);
    assert_eq!(core.handle(at, Event::Opened(0)), [call(1)]);
    // What has given an output is not repeated: the output would come twice.
    core.handle(at, Event::Output(0, 5));
    let actions = die(&mut core, 0);
    assert_eq!(actions, [Action::Tell(Blame::Slot(0), 2), Action::RoundDone(0)]);
}

#[test]
fn a_breaker_opens_after_so_many_items_in_a_row_and_lets_one_through_after_a_pause() {
    // spec: NRA-10
    let now = Instant::now();
    let breaker = Breaker { failures: 2, pause: SECOND, on_open: OnOpen::Error };
    let mut core = alone(|shape| shape.breaker = Some(breaker));
    let fail = |core: &mut Core<u32>, at: Instant| {
        assert_eq!(core.handle(at, Event::Input(Some(1))), [call(1)]);
        core.handle(at, Event::Failed(0, Failure::default()))
    };
    assert_eq!(fail(&mut core, now), [told(1), Action::RoundDone(0)]);
    let opens = [told(1), Action::Breaker(0, true), Action::RoundDone(1)];
    assert_eq!(fail(&mut core, now), opens);
    let skipped = |core: &mut Core<u32>, at, round| {
        let actions = core.handle(at, Event::Input(Some(3)));
        assert_eq!(actions, [Action::Skipped(0, OnOpen::Error), Action::RoundDone(round)]);
    };
    skipped(&mut core, now + SECOND - MS, 2);
    // One item is tried; its failure opens the breaker again.
    let then = now + SECOND;
    let opens = [told(1), Action::Breaker(0, true), Action::RoundDone(3)];
    assert_eq!(fail(&mut core, then), opens);
    skipped(&mut core, then, 4);
    let then = then + SECOND;
    assert_eq!(core.handle(then, Event::Input(Some(4))), [call(4)]);
    let closes = [Action::Breaker(0, false), Action::RoundDone(5)];
    assert_eq!(core.handle(then, Event::Done(0)), closes);
    // And it takes two failures again.
    assert_eq!(fail(&mut core, then), [told(1), Action::RoundDone(6)]);
}

#[test]
fn a_skipped_node_drops_its_items_or_passes_them_on() {
    // spec: NRA-10
    let now = Instant::now();
    for (on_open, given) in [(OnOpen::Drop, None), (OnOpen::Pass, Some(9))] {
        let breaker = Breaker { failures: 1, pause: SECOND, on_open };
        let mut core = alone(|shape| shape.breaker = Some(breaker));
        core.handle(now, Event::Input(Some(1)));
        core.handle(now, Event::Failed(0, Failure::default()));
        let actions = core.handle(now, Event::Input(Some(9)));
        let given = given.map(|value| Action::Deliver { stage: 0, round: 1, value });
        let mut expected: Vec<Action<u32>> = given.into_iter().collect();
        expected.extend([Action::Skipped(0, on_open), Action::RoundDone(1)]);
        assert_eq!(actions, expected);
        // A flush finds nothing to give back.
        assert_eq!(core.handle(now, Event::Flush), [Action::RoundDone(2)]);
    }
}

#[test]
fn the_first_failure_of_a_run_ends_everything_that_has_begun() {
    let now = Instant::now();
    let mut core = line();
    core.stop_at_failure(true);
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Input(Some(2)));
    let actions = core.handle(now, Event::Failed(0, Failure::default()));
    assert_eq!(actions, [told(1), Action::RoundDone(0), Action::RoundDone(1)]);
}
