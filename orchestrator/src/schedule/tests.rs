//! The session core in virtual time: order, joins, back-pressure, windows, deadlines, deaths.

use std::time::{Duration, Instant};

use ipc_protocol::FaultKind;

use super::{
    Action, Blame, Bounds, Core, Deadline, EXIT_GRACE, Event, Failure, Overdue, Running,
    StageShape, StateLoss, Target, Times, Traits, Work,
};
use crate::model::Join;
use crate::placement::Part;

mod closing;
mod deadlines;
mod limits;
mod replicas;
mod retune;
mod saves;
mod simulation;
mod streams;
mod tries;

const SECOND: Duration = Duration::from_secs(1);
const BOUNDS: Bounds = Bounds {
    window: 4,
    queue: 2,
    times: Times {
        acquire_timeout: Duration::from_secs(60),
        open_timeout: Duration::from_secs(30),
        close_timeout: Duration::from_secs(5),
    },
};

fn stage(slot: Option<usize>, inputs: usize, outputs: &[(usize, usize)]) -> StageShape {
    StageShape {
        slot,
        inputs,
        outputs: outputs.iter().map(|&(stage, input)| Target { stage, input }).collect(),
        join: Join::Interleave,
        is_source: false,
        flushes: true,
        timeouts: vec![None],
        is_watched: false,
        retries: vec![None],
        repeats: None,
        state: StateLoss::Lost,
        saves_every: 1,
        deadline: None,
        breaker: None,
        part: Part::Whole,
    }
}

/// A core whose slots have workers with nodes.
fn open(shapes: Vec<StageShape>, slots: usize) -> Core<u32> {
    let now = Instant::now();
    let mut core = Core::new(shapes, &vec![false; slots], BOUNDS);
    core.handle(now, Event::Open);
    for slot in 0..slots {
        assert_eq!(core.handle(now, Event::Granted(slot)), [Action::Open(slot)]);
        assert_eq!(core.handle(now, Event::Opened(slot)), []);
    }
    assert!(!core.slots().is_opening());
    core
}

/// A fresh worker comes into a slot; what its nodes are called with then.
fn reopen(core: &mut Core<u32>, slot: usize) -> Vec<Action<u32>> {
    let now = Instant::now();
    assert_eq!(core.handle(now, Event::Granted(slot)), [Action::Open(slot)]);
    core.handle(now, Event::Opened(slot))
}

/// The worker in a slot dies; what follows from its burial, the error first.
fn die(core: &mut Core<u32>, slot: usize) -> Vec<Action<u32>> {
    let now = Instant::now();
    assert_eq!(core.handle(now, Event::LinkEnded(slot)), []);
    assert_eq!(core.handle(now, Event::Exited(slot)), [Action::RemoveDead(slot)]);
    core.handle(now, Event::Lost(slot))
}

/// a -> b in two slots.
fn line() -> Core<u32> {
    let shapes = vec![stage(Some(0), 0, &[(1, 0)]), stage(Some(1), 1, &[])];
    open(shapes, 2)
}

/// a -> (b, c) -> d; b and c beside each other.
fn diamond(join: Join) -> Core<u32> {
    let mut shapes = vec![
        stage(Some(0), 0, &[(1, 0), (2, 0)]),
        stage(Some(1), 1, &[(3, 0)]),
        stage(Some(2), 1, &[(3, 1)]),
        stage(Some(3), 2, &[]),
    ];
    shapes[3].join = join;
    open(shapes, 4)
}

fn item(stage: usize, value: u32) -> Action<u32> {
    Action::Call { stage, work: Work::Item(value) }
}

fn deliver(stage: usize, round: u64, value: u32) -> Action<u32> {
    Action::Deliver { stage, round, value }
}

#[test]
fn a_stage_that_moves_does_its_work_again_on_the_new_slot() {
    // spec: IOP-39
    let now = Instant::now();
    let mut core = line();
    core.handle(now, Event::Input(Some(7)));
    let moved = |work| Event::Moved { stage: 0, slot: 2, work };
    assert_eq!(core.handle(now, moved(Some(Work::Item(7)))), [Action::Acquire(vec![2])]);
    // The death of the worker that it left is nothing to it.
    assert_eq!(die(&mut core, 0), [Action::Tell(Blame::Slot(0), 1)]);
    assert_eq!(reopen(&mut core, 2), [item(0, 7)]);
    assert_eq!(core.handle(now, Event::Output(0, 8)), [item(1, 8)]);
    core.handle(now, Event::Done(0));
    core.handle(now, Event::Output(1, 9));
    assert_eq!(core.handle(now, Event::Done(1)), [Action::RoundDone(0)]);
    // The next input finds it where it is.
    assert_eq!(core.handle(now, Event::Input(Some(1))), [item(0, 1)]);
}

#[test]
fn a_flush_is_done_again_too_and_its_round_ends_once() {
    // spec: IOP-39
    let now = Instant::now();
    let mut core = line();
    assert_eq!(core.handle(now, Event::Flush), [Action::Call { stage: 0, work: Work::Flush }]);
    let moved = Event::Moved { stage: 0, slot: 2, work: Some(Work::Flush) };
    assert_eq!(core.handle(now, moved), [Action::Acquire(vec![2])]);
    let again = [Action::Call { stage: 0, work: Work::Flush }];
    assert_eq!(reopen(&mut core, 2), again);
    let below = [Action::Call { stage: 1, work: Work::Flush }];
    assert_eq!(core.handle(now, Event::Done(0)), below);
    assert_eq!(core.handle(now, Event::Done(1)), [Action::RoundDone(0)]);
}

#[test]
fn a_stage_that_moves_without_its_work_gives_its_round_up() {
    // spec: IOP-39
    let now = Instant::now();
    let mut core = line();
    core.handle(now, Event::Input(Some(7)));
    let moved = Event::Moved { stage: 0, slot: 2, work: None };
    assert_eq!(core.handle(now, moved), [Action::RoundDone(0)]);
    assert_eq!(core.handle(now, Event::Input(Some(1))), [Action::Acquire(vec![2])]);
    // Without a worker there, what waits is skipped, work to be done again included.
    let refused = core.handle(now, Event::Refused(2));
    assert_eq!(refused, [Action::RoundDone(1)]);
    core.handle(now, Event::Input(Some(2)));
    assert_eq!(reopen(&mut core, 2), [item(0, 2)]);
    let moved = Event::Moved { stage: 0, slot: 3, work: Some(Work::Item(2)) };
    assert_eq!(core.handle(now, moved), [Action::Acquire(vec![3])]);
    assert_eq!(core.handle(now, Event::Refused(3)), [Action::RoundDone(2)]);
}

#[test]
fn an_item_passes_the_stages_in_order() {
    // spec: NRA-03
    let now = Instant::now();
    let mut core = line();
    assert_eq!(core.handle(now, Event::Input(Some(7))), [item(0, 7)]);
    assert_eq!(core.handle(now, Event::Output(0, 8)), [item(1, 8)]);
    assert_eq!(core.handle(now, Event::Done(0)), []);
    assert_eq!(core.handle(now, Event::Output(1, 9)), [deliver(1, 0, 9)]);
    assert_eq!(core.handle(now, Event::Done(1)), [Action::RoundDone(0)]);
    assert_eq!(core.open_rounds(), 0);
}

#[test]
fn stages_in_different_slots_work_on_different_items_at_once() {
    let now = Instant::now();
    let mut core = line();
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Input(Some(2)));
    core.handle(now, Event::Output(0, 10));
    assert_eq!(core.handle(now, Event::Done(0)), [item(0, 2)]);
}

#[test]
fn stages_in_one_slot_take_turns() {
    let now = Instant::now();
    let shapes = vec![stage(Some(0), 0, &[(1, 0)]), stage(Some(0), 1, &[])];
    let mut core = open(shapes, 1);
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Input(Some(2)));
    assert_eq!(core.handle(now, Event::Output(0, 10)), []);
    assert_eq!(core.handle(now, Event::Done(0)), [item(1, 10)]);
    assert_eq!(core.handle(now, Event::Done(1)), [Action::RoundDone(0), item(0, 2)]);
}

#[test]
fn a_stage_that_used_up_its_window_waits_until_its_outputs_are_taken() {
    let now = Instant::now();
    let shapes = vec![stage(Some(0), 0, &[(1, 0)]), stage(Some(0), 1, &[])];
    let mut core = open(shapes, 1);
    core.handle(now, Event::Input(Some(0)));
    for value in 1..4 {
        assert_eq!(core.handle(now, Event::Output(0, value)), []);
    }
    // The fourth output suspends the call; the stage below gets the slot.
    assert_eq!(core.handle(now, Event::Output(0, 4)), [item(1, 1)]);
    for value in 2..4 {
        assert_eq!(core.handle(now, Event::Done(1)), [item(1, value)]);
    }
    assert_eq!(core.handle(now, Event::Done(1)), [item(1, 4)]);
    assert_eq!(core.handle(now, Event::Done(1)), [Action::Credit(0)]);
}

#[test]
fn a_join_takes_its_inputs_by_round_and_then_by_connection() {
    let now = Instant::now();
    let mut core = diamond(Join::Interleave);
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Output(0, 1));
    core.handle(now, Event::Done(0));
    // c is done first, but b is connected first.
    assert_eq!(core.handle(now, Event::Output(2, 30)), []);
    core.handle(now, Event::Done(2));
    assert_eq!(core.handle(now, Event::Output(1, 20)), [item(3, 20)]);
    core.handle(now, Event::Done(1));
    assert_eq!(core.handle(now, Event::Done(3)), [item(3, 30)]);
}

#[test]
fn a_zip_waits_for_one_item_of_each_input() {
    let now = Instant::now();
    let mut core = diamond(Join::Zip);
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Output(0, 1));
    core.handle(now, Event::Done(0));
    core.handle(now, Event::Output(2, 30));
    core.handle(now, Event::Done(2));
    let actions = core.handle(now, Event::Output(1, 20));
    assert_eq!(actions, [Action::Call { stage: 3, work: Work::Zip(vec![20, 30]) }]);
}

#[test]
fn a_zip_with_uneven_inputs_says_so_and_goes_on() {
    let now = Instant::now();
    let mut core = diamond(Join::Zip);
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Output(0, 1));
    core.handle(now, Event::Done(0));
    core.handle(now, Event::Output(2, 30));
    core.handle(now, Event::Done(2));
    let actions = core.handle(now, Event::Done(1));
    assert_eq!(actions, [Action::Uneven(3), Action::RoundDone(0)]);
    assert_eq!(core.handle(now, Event::Input(Some(2))), [item(0, 2)]);
}

#[test]
fn flush_reaches_each_stage_after_what_the_ones_before_it_held_back() {
    let now = Instant::now();
    let mut core = line();
    let flush = |stage| Action::Call { stage, work: Work::Flush };
    assert_eq!(core.handle(now, Event::Flush), [flush(0)]);
    assert_eq!(core.handle(now, Event::Output(0, 5)), [item(1, 5)]);
    assert_eq!(core.handle(now, Event::Done(0)), []);
    assert_eq!(core.handle(now, Event::Done(1)), [flush(1)]);
    assert_eq!(core.handle(now, Event::Output(1, 6)), [deliver(1, 0, 6)]);
    assert_eq!(core.handle(now, Event::Done(1)), [Action::RoundDone(0)]);
}

#[test]
fn a_failure_belongs_to_its_round_and_the_next_one_runs() {
    let now = Instant::now();
    let mut core = line();
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Output(0, 10));
    let told = Action::Tell(Blame::Stage(0), 1);
    assert_eq!(core.handle(now, Event::Failed(0, Failure::default())), [told]);
    assert_eq!(core.handle(now, Event::Done(1)), [Action::RoundDone(0)]);
    assert_eq!(core.handle(now, Event::Input(Some(2))), [item(0, 2)]);
}

#[test]
fn a_lost_slot_is_opened_again_when_it_is_needed() {
    let now = Instant::now();
    let mut core = line();
    core.handle(now, Event::Input(Some(1)));
    let told = Action::Tell(Blame::Slot(0), 1);
    assert_eq!(die(&mut core, 0), [told, Action::RoundDone(0)]);
    assert_eq!(core.handle(now, Event::Input(Some(2))), [Action::Acquire(vec![0])]);
    assert_eq!(reopen(&mut core, 0), [item(0, 2)]);
}

#[test]
fn what_waits_for_a_slot_that_cannot_be_opened_again_is_skipped() {
    let now = Instant::now();
    let mut core = line();
    die(&mut core, 0);
    assert_eq!(core.handle(now, Event::Input(Some(1))), [Action::Acquire(vec![0])]);
    assert_eq!(core.handle(now, Event::Refused(0)), [Action::RoundDone(0)]);
    assert_eq!(
        core.handle(now, Event::Input(Some(2))),
        [Action::Acquire(vec![0])],
        "it is tried again"
    );
    assert_eq!(reopen(&mut core, 0), [item(0, 2)]);
}

#[test]
fn abandoned_rounds_begin_nothing_more() {
    // spec: IOP-25
    let now = Instant::now();
    let mut core = line();
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Input(Some(2)));
    core.handle(now, Event::Output(0, 10));
    assert_eq!(core.handle(now, Event::Abandon), []);
    assert!(core.slots().is_working());
    assert_eq!(core.handle(now, Event::Failed(0, Failure::default())), []);
    let done = [Action::RoundDone(0), Action::RoundDone(1)];
    assert_eq!(core.handle(now, Event::Done(1)), done);
    assert_eq!(core.handle(now, Event::Input(Some(3))), [item(0, 3)]);
}

#[test]
fn sources_start_without_an_item() {
    let now = Instant::now();
    let mut core = line();
    core.note(0, Traits { is_source: true, flushes: true, state: StateLoss::Lost });
    let start = Action::Call { stage: 0, work: Work::Start };
    assert_eq!(core.handle(now, Event::Input(None)), [start]);
}

#[test]
fn a_stage_that_never_flushes_is_not_asked() {
    let now = Instant::now();
    let mut core = line();
    core.note(0, Traits { is_source: false, flushes: false, state: StateLoss::Lost });
    let flush = |stage| Action::Call { stage, work: Work::Flush };
    assert_eq!(core.handle(now, Event::Flush), [flush(1)]);
    assert_eq!(core.handle(now, Event::Done(1)), [Action::RoundDone(0)]);
}

#[test]
fn a_suspended_call_of_a_round_that_was_given_up_is_ended() {
    let now = Instant::now();
    let mut core = diamond(Join::Interleave);
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Output(0, 1));
    core.handle(now, Event::Done(0));
    core.handle(now, Event::Failed(2, Failure::default()));
    // b would go on for ever; no caller waits for its outputs.
    assert_eq!(core.handle(now, Event::Abandon), []);
    for value in 0..3 {
        assert_eq!(core.handle(now, Event::Output(1, value)), []);
    }
    assert_eq!(core.handle(now, Event::Output(1, 3)), [Action::Abort(1)]);
    assert_eq!(core.handle(now, Event::Done(1)), [Action::RoundDone(0)]);
    assert_eq!(core.handle(now, Event::Input(Some(2))), [item(0, 2)]);
}
