//! Replicas of a node, in virtual time: who gets which item, and in which order outputs and errors go on.

use super::*;
use crate::model::{Breaker, OnOpen, Retry};

/// One node with this many replicas in slots of their own, in the middle of the graph or alone.
fn replicated(count: usize, is_ordered: bool, edit: impl Fn(&mut StageShape)) -> Vec<StageShape> {
    let further: Vec<usize> = (1..count).collect();
    let shape = |id: usize| {
        let mut shape = stage(Some(id), 0, &[]);
        shape.flushes = false;
        shape.state = StateLoss::Stateless;
        shape.part = match id {
            0 => Part::First { further: further.clone(), is_ordered },
            _ => Part::Further { first: 0 },
        };
        edit(&mut shape);
        shape
    };
    (0..count).map(shape).collect()
}

/// A core in which all replicas have workers.
fn open_all(shapes: Vec<StageShape>) -> Core<u32> {
    let (now, count) = (Instant::now(), shapes.len());
    let mut core = Core::new(shapes, &vec![false; count], BOUNDS);
    assert_eq!(core.handle(now, Event::Open), [Action::Acquire(vec![0])]);
    assert_eq!(core.handle(now, Event::Granted(0)), [Action::Open(0)]);
    let borrowed: Vec<_> = (1..count).map(Action::Borrow).collect();
    assert_eq!(core.handle(now, Event::Opened(0)), borrowed, "the session opens without them");
    for slot in 1..count {
        assert_eq!(core.handle(now, Event::Granted(slot)), [Action::Open(slot)]);
        assert_eq!(core.handle(now, Event::Opened(slot)), []);
    }
    core
}

fn two(is_ordered: bool) -> Core<u32> {
    open_all(replicated(2, is_ordered, |_| {}))
}

fn feed(core: &mut Core<u32>, value: u32) -> Vec<Action<u32>> {
    core.handle(Instant::now(), Event::Input(Some(value)))
}

/// A call gives an output and ends.
fn answer(core: &mut Core<u32>, stage: usize, value: u32) -> Vec<Action<u32>> {
    let now = Instant::now();
    let mut actions = core.handle(now, Event::Output(stage, value));
    actions.extend(core.handle(now, Event::Done(stage)));
    actions
}

fn fail(core: &mut Core<u32>, stage: usize) -> Vec<Action<u32>> {
    core.handle(Instant::now(), Event::Failed(stage, Failure::default()))
}

fn done(round: u64) -> Action<u32> {
    Action::RoundDone(round)
}

fn tell(stage: usize) -> Action<u32> {
    Action::Tell(Blame::Stage(stage), 1)
}

#[test]
fn the_first_free_replica_gets_the_next_item_and_outputs_go_on_in_the_order_of_the_items() {
    let mut core = two(true);
    assert_eq!(feed(&mut core, 1), [item(0, 1)]);
    assert_eq!(feed(&mut core, 2), [item(1, 2)]);
    assert_eq!(feed(&mut core, 3), []);
    assert_eq!(answer(&mut core, 1, 12), [item(1, 3)], "the output waits for that of item 1");
    assert_eq!(feed(&mut core, 4), []);
    let both = [deliver(0, 0, 11), done(0), deliver(0, 1, 12), done(1), item(0, 4)];
    assert_eq!(answer(&mut core, 0, 11), both);
}

#[test]
fn where_order_does_not_count_outputs_go_on_as_they_come_and_those_of_a_call_stay_together() {
    let now = Instant::now();
    let mut core = two(false);
    (1..4).for_each(|value| drop(feed(&mut core, value)));
    assert_eq!(core.handle(now, Event::Output(1, 12)), [deliver(0, 0, 12)]);
    assert_eq!(core.handle(now, Event::Output(0, 11)), [], "replica 1 is not done");
    assert_eq!(core.handle(now, Event::Output(1, 13)), [deliver(0, 0, 13)]);
    let then = core.handle(now, Event::Done(1));
    assert_eq!(then, [done(0), deliver(0, 1, 11), item(1, 3)]);
    assert_eq!(core.handle(now, Event::Done(0)), [done(1)]);
}

/// a -> two replicas of b, whose order does not count, with two items.
fn behind_another() -> Core<u32> {
    let now = Instant::now();
    let mut shapes =
        vec![stage(Some(0), 0, &[(1, 0)]), stage(Some(1), 1, &[]), stage(Some(2), 1, &[])];
    shapes[1].part = Part::First { further: vec![2], is_ordered: false };
    shapes[2].part = Part::Further { first: 1 };
    for shape in &mut shapes {
        (shape.flushes, shape.state) = (false, StateLoss::Stateless);
        shape.repeats = Some(Retry { limit: 1, delay: Duration::ZERO });
    }
    let mut core = Core::new(shapes, &[false; 3], BOUNDS);
    core.handle(now, Event::Open);
    for slot in 0..3 {
        core.handle(now, Event::Granted(slot));
        core.handle(now, Event::Opened(slot));
    }
    assert_eq!(feed(&mut core, 1), [item(0, 1)]);
    assert_eq!(feed(&mut core, 2), []);
    assert_eq!(core.handle(now, Event::Output(0, 11)), [item(1, 11)]);
    core
}

/// Each replica has an item of another round.
fn in_two_rounds() -> Core<u32> {
    let mut core = behind_another();
    assert_eq!(core.handle(Instant::now(), Event::Done(0)), [item(0, 2)]);
    assert_eq!(core.handle(Instant::now(), Event::Output(0, 12)), [item(2, 12)]);
    core
}

#[test]
fn a_round_whose_calls_have_not_all_begun_overtakes_no_other() {
    // spec: IOP-06
    let now = Instant::now();
    let mut core = in_two_rounds();
    // Its next call might wait for the replica whose output would have to wait for it.
    assert_eq!(core.handle(now, Event::Output(2, 22)), [], "a may give more");
    assert_eq!(core.handle(now, Event::Output(1, 21)), [deliver(1, 0, 21)]);
    let then = core.handle(now, Event::Done(1));
    assert_eq!(then, [done(0), deliver(1, 1, 22)]);
    assert_eq!(core.handle(now, Event::Output(0, 13)), [item(1, 13)]);
}

#[test]
fn a_round_whose_calls_have_all_begun_overtakes_one_that_is_not_done() {
    // spec: IOP-06
    let now = Instant::now();
    let mut core = in_two_rounds();
    assert_eq!(core.handle(now, Event::Done(0)), []);
    assert_eq!(core.handle(now, Event::Output(2, 22)), [deliver(1, 0, 22)]);
    assert_eq!(core.handle(now, Event::Done(2)), [done(0)]);
    assert_eq!(core.handle(now, Event::Output(1, 21)), [deliver(1, 1, 21)]);
}

#[test]
fn where_order_does_not_count_no_item_of_a_round_is_tried_again_after_its_error() {
    // spec: CARD-08
    let mut core = behind_another();
    assert_eq!(core.handle(Instant::now(), Event::Output(0, 12)), [item(2, 12)]);
    assert_eq!(fail(&mut core, 2), [tell(2)]);
    assert_eq!(die(&mut core, 1), [], "item 11 is not tried again");
}

#[test]
fn an_error_is_told_at_the_place_of_its_item_and_its_replica_waits_until_then() {
    let mut core = two(true);
    (1..5).for_each(|value| drop(feed(&mut core, value)));
    assert_eq!(fail(&mut core, 1), [], "item 1 comes first");
    let then = answer(&mut core, 0, 11);
    assert_eq!(then, [deliver(0, 0, 11), done(0), tell(1), done(1), item(0, 3), item(1, 4)]);
    answer(&mut core, 0, 13);
    assert_eq!(answer(&mut core, 1, 14), [deliver(0, 3, 14), done(3)]);
}

#[test]
fn the_first_error_ends_a_run_and_what_came_before_it_is_kept() {
    let mut core = two(true);
    core.stop_at_failure(true);
    (1..5).for_each(|value| drop(feed(&mut core, value)));
    assert_eq!(fail(&mut core, 1), []);
    let then = answer(&mut core, 0, 11);
    let rest = [done(1), done(2), done(3)];
    assert_eq!(then[..3], [deliver(0, 0, 11), done(0), tell(1)]);
    assert_eq!(then[3..], rest);
}

#[test]
fn the_rest_of_a_round_in_which_a_replica_fails_is_dropped_and_what_came_before_it_goes_on() {
    let now = Instant::now();
    // A native stage splits each input into several items.
    let mut shapes = replicated(2, true, |shape| shape.inputs = 1);
    shapes[1].inputs = 0;
    let mut source = stage(None, 0, &[(0, 0)]);
    source.flushes = false;
    shapes.push(source);
    let mut core = Core::new(shapes, &[false; 2], BOUNDS);
    core.handle(now, Event::Open);
    for slot in 0..2 {
        core.handle(now, Event::Granted(slot));
        core.handle(now, Event::Opened(slot));
    }
    assert_eq!(feed(&mut core, 1), [item(2, 1)]);
    assert_eq!(core.handle(now, Event::Output(2, 5)), [item(0, 5)]);
    assert_eq!(core.handle(now, Event::Output(2, 6)), [item(1, 6)]);
    assert_eq!(core.handle(now, Event::Output(2, 7)), []);
    assert_eq!(fail(&mut core, 1), []);
    core.handle(now, Event::Done(2));
    // Item 7 of the same round is not begun; the next round is.
    assert_eq!(feed(&mut core, 2), [item(2, 2)]);
    let then = answer(&mut core, 0, 15);
    assert_eq!(then, [deliver(0, 0, 15), tell(1), done(0)]);
    core.handle(now, Event::Output(2, 8));
    assert!(core.handle(now, Event::Done(2)).is_empty());
}

#[test]
fn a_generator_that_is_not_first_in_line_is_suspended_and_goes_on_when_it_is() {
    let now = Instant::now();
    let mut core = two(true);
    (1..3).for_each(|value| drop(feed(&mut core, value)));
    (0..4).for_each(|value| assert_eq!(core.handle(now, Event::Output(1, 20 + value)), []));
    let then = answer(&mut core, 0, 11);
    assert_eq!(then[..2], [deliver(0, 0, 11), done(0)]);
    assert_eq!(then[6..], [Action::Credit(1)]);
    core.handle(now, Event::Output(1, 24));
    assert_eq!(core.handle(now, Event::Done(1)), [done(1)]);
}

#[test]
fn only_so_many_calls_are_ahead_of_the_slowest() {
    let mut core = two(true);
    let mut begun = feed(&mut core, 0).len();
    for value in 1..20 {
        let called = feed(&mut core, value);
        begun += called.len();
        if !called.is_empty() {
            assert_eq!(called, [item(1, value)]);
            assert_eq!(answer(&mut core, 1, value), []);
        }
    }
    assert_eq!(begun, 2 * BOUNDS.queue, "calls that wait for the first one");
    assert!(!core.wants_input());
}

#[test]
fn a_replica_that_dies_fails_its_own_item_and_the_others_go_on() {
    // spec: CARD-08
    let mut core = two(true);
    (1..4).for_each(|value| drop(feed(&mut core, value)));
    let then = die(&mut core, 1);
    assert_eq!(then, [Action::Borrow(1)], "its error waits for item 1, and item 3 for a worker");
    let then = answer(&mut core, 0, 11);
    let told = Action::Tell(Blame::Slot(1), 1);
    assert_eq!(then, [deliver(0, 0, 11), done(0), told, done(1), item(0, 3)]);
    assert_eq!(feed(&mut core, 4), []);
    assert_eq!(reopen(&mut core, 1), [item(1, 4)]);
}

#[test]
fn a_call_that_is_repeated_keeps_its_place() {
    // spec: CARD-08
    let retry = Some(Retry { limit: 1, delay: Duration::ZERO });
    let mut core = open_all(replicated(2, true, |shape| shape.repeats = retry));
    (1..3).for_each(|value| drop(feed(&mut core, value)));
    let then = die(&mut core, 0);
    assert!(matches!(then[..], [Action::TryLater(0, _), Action::Acquire(_)]), "{then:?}");
    assert_eq!(answer(&mut core, 1, 12), []);
    assert_eq!(reopen(&mut core, 0), [item(0, 1)]);
    let both = [deliver(0, 0, 11), done(0), deliver(0, 1, 12), done(1)];
    assert_eq!(answer(&mut core, 0, 11), both);
}

#[test]
fn where_the_pool_has_no_further_worker_one_replica_does_all() {
    let now = Instant::now();
    let mut core = Core::new(replicated(3, true, |_| {}), &[false; 3], BOUNDS);
    core.handle(now, Event::Open);
    core.handle(now, Event::Granted(0));
    let borrowed = [Action::Borrow(1), Action::Borrow(2)];
    assert_eq!(core.handle(now, Event::Opened(0)), borrowed);
    assert_eq!(core.handle(now, Event::Refused(1)), []);
    assert_eq!(core.handle(now, Event::Refused(2)), []);
    assert_eq!(feed(&mut core, 1), [item(0, 1)]);
    assert_eq!(feed(&mut core, 2), borrowed, "asked once more, as an item waits");
    core.handle(now, Event::Refused(1));
    core.handle(now, Event::Refused(2));
    let mut asked = Vec::new();
    for value in 3..40 {
        let mut actions = answer(&mut core, 0, value);
        actions.extend(feed(&mut core, value));
        if actions.contains(&Action::Borrow(1)) {
            asked.push(value);
            core.handle(now, Event::Refused(1));
            core.handle(now, Event::Refused(2));
        }
    }
    assert_eq!(asked, [3, 5, 9, 17, 33], "the pool is asked more and more rarely");
}

#[test]
fn with_all_workers_gone_one_is_waited_for() {
    let mut core = two(true);
    assert_eq!(die(&mut core, 0), [Action::Tell(Blame::Slot(0), 1)]);
    assert_eq!(die(&mut core, 1), [Action::Tell(Blame::Slot(1), 1)]);
    assert_eq!(feed(&mut core, 1), [Action::Acquire(vec![0])]);
    let granted = core.handle(Instant::now(), Event::Granted(0));
    assert_eq!(granted, [Action::Open(0), Action::Borrow(1)]);
    assert_eq!(reopen(&mut core, 1), [item(1, 1)], "the first that is ready");
    assert_eq!(core.handle(Instant::now(), Event::Opened(0)), []);
}

#[test]
fn a_flush_reaches_all_replicas_after_all_items() {
    let now = Instant::now();
    let mut core = open_all(replicated(2, true, |shape| shape.flushes = true));
    (1..3).for_each(|value| drop(feed(&mut core, value)));
    answer(&mut core, 1, 12);
    assert_eq!(core.handle(now, Event::Flush), []);
    core.handle(now, Event::Output(0, 11));
    let flush = |stage| Action::Call { stage, work: Work::Flush };
    let then = core.handle(now, Event::Done(0));
    assert_eq!(then, [done(0), deliver(0, 1, 12), done(1), flush(0), flush(1)]);
    assert_eq!(answer(&mut core, 1, 32), []);
    assert_eq!(answer(&mut core, 0, 31), [deliver(0, 2, 31), deliver(0, 2, 32), done(2)]);
}

#[test]
fn an_interrupt_reaches_all_replicas_and_the_next_item_is_served() {
    // spec: IOP-06
    let now = Instant::now();
    let mut core = two(true);
    (1..4).for_each(|value| drop(feed(&mut core, value)));
    let cut = [Action::CutShort(0, 0), Action::CutShort(1, 1)];
    assert_eq!(core.handle(now, Event::Interrupt), cut);
    assert_eq!(feed(&mut core, 4), []);
    assert_eq!(fail(&mut core, 1), [item(1, 4)]);
    assert_eq!(fail(&mut core, 0), [done(0), done(1), done(2)]);
    assert_eq!(answer(&mut core, 1, 14), [deliver(0, 3, 14), done(3)]);
}

#[test]
fn closing_interrupts_all_replicas_and_returns_their_workers() {
    let now = Instant::now();
    let mut core = two(true);
    (1..3).for_each(|value| drop(feed(&mut core, value)));
    let interrupted = [Action::Interrupt(0), Action::Interrupt(1)];
    assert_eq!(core.handle(now, Event::Close), interrupted);
    assert_eq!(fail(&mut core, 1), [Action::Close(1)]);
    assert_eq!(fail(&mut core, 0), [Action::Close(0)]);
    core.handle(now, Event::Closed(0));
    core.handle(now, Event::Closed(1));
    assert!(core.slots().is_closed());
}

#[test]
fn each_replica_has_the_deadline_of_its_own_item() {
    // spec: NRA-08
    let now = Instant::now();
    let mut core = open_all(replicated(2, true, |shape| shape.deadline = Some(SECOND)));
    core.handle(now, Event::Input(Some(1)));
    core.handle(now + SECOND / 2, Event::Input(Some(2)));
    let overdue = Overdue { running: None, limit: SECOND, deadline: Deadline::Item };
    assert_eq!(core.handle(now + SECOND, Event::Tick), [Action::Expire(0, overdue)]);
    let then = core.handle(now + SECOND, Event::Lost(0));
    assert_eq!(then, [Action::Tell(Blame::Slot(0), 1), done(0)]);
    assert_eq!(core.next_deadline(), Some(now + SECOND + SECOND / 2));
}

#[test]
fn replicas_have_one_breaker_and_a_skipped_item_keeps_its_place() {
    // spec: NRA-10
    let breaker = Breaker { failures: 2, pause: SECOND, on_open: OnOpen::Pass };
    let mut core = open_all(replicated(2, true, |shape| shape.breaker = Some(breaker)));
    (1..4).for_each(|value| drop(feed(&mut core, value)));
    assert_eq!(fail(&mut core, 0), [tell(0), done(0), item(0, 3)]);
    assert_eq!(fail(&mut core, 1), [Action::Breaker(0, true), tell(1), done(1)]);
    assert!(core.breaker(0).is_open(Instant::now()));
    assert_eq!(feed(&mut core, 4), [Action::Skipped(0, OnOpen::Pass)]);
    let then = answer(&mut core, 0, 13);
    assert_eq!(then[..3], [deliver(0, 2, 13), Action::Breaker(0, false), done(2)]);
    assert_eq!(then[3..], [deliver(0, 3, 4), done(3)]);
}

#[test]
fn a_replica_that_moves_to_a_worker_in_which_it_cannot_be_made_gives_up_its_item() {
    // spec: IOP-25
    let (now, mut core) = (Instant::now(), two(true));
    assert_eq!(feed(&mut core, 1), [item(0, 1)]);
    assert_eq!(feed(&mut core, 2), [item(1, 2)]);
    let moved = Event::Moved { stage: 1, slot: 2, work: Some(Work::Item(2)) };
    assert_eq!(core.handle(now, moved), [Action::Acquire(vec![2])]);
    assert_eq!(core.handle(now, Event::Granted(2)), [Action::Open(2)]);
    assert_eq!(core.handle(now, Event::OpenFailed(2)), []);
    assert_eq!(answer(&mut core, 0, 11), [deliver(0, 0, 11), done(0), done(1)]);
}
