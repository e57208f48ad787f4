//! Streams in virtual time: several rounds are open, and the caller gets one after the other.

use super::*;

/// a -> b in two slots, with a stream; two inputs are fed. Without replicas two rounds may be open.
fn two_rounds(shapes: Vec<StageShape>) -> Core<u32> {
    let slots = shapes.len();
    let mut core = open(shapes, slots);
    core.keep_rounds_apart(true);
    for value in [1, 2] {
        assert!(core.wants_input());
        core.handle(Instant::now(), Event::Input(Some(value)));
    }
    assert!(!core.wants_input());
    core
}

fn give(core: &mut Core<u32>, stage: usize, value: u32) -> Vec<Action<u32>> {
    let now = Instant::now();
    let mut actions = core.handle(now, Event::Output(stage, value));
    actions.extend(core.handle(now, Event::Done(stage)));
    actions
}

fn fail(core: &mut Core<u32>, stage: usize) -> Vec<Action<u32>> {
    core.handle(Instant::now(), Event::Failed(stage, Failure::default()))
}

fn silent(slot: usize, inputs: usize, outputs: &[(usize, usize)]) -> StageShape {
    StageShape { flushes: false, ..stage(Some(slot), inputs, outputs) }
}

#[test]
fn an_error_waits_for_the_rounds_before_it_and_ends_only_its_own() {
    // spec: IOP-25
    let mut core = two_rounds(vec![silent(0, 0, &[(1, 0)]), silent(1, 1, &[])]);
    assert_eq!(give(&mut core, 0, 11), [item(1, 11), item(0, 2)]);
    assert_eq!(fail(&mut core, 0), [], "round 0 is under way");
    let then = give(&mut core, 1, 21);
    let told = Action::Tell(Blame::Stage(0), 1);
    let expected = [deliver(1, 0, 21), Action::RoundDone(0), told, Action::RoundDone(1)];
    assert_eq!(then, expected);
    assert_eq!(core.handle(Instant::now(), Event::Input(Some(3))), [item(0, 3)]);
}

#[test]
fn the_error_of_a_worker_that_waits_is_kept_apart_from_that_of_the_next_worker() {
    // spec: IOP-25
    let mut core = two_rounds(vec![silent(0, 0, &[(1, 0)]), silent(1, 1, &[])]);
    give(&mut core, 0, 11);
    assert_eq!(die(&mut core, 0), [Action::Attribute(0, 0)]);
    let then = give(&mut core, 1, 21);
    let told = Action::Tell(Blame::Stage(0), 1);
    let expected = [deliver(1, 0, 21), Action::RoundDone(0), told, Action::RoundDone(1)];
    assert_eq!(then, expected);
}

#[test]
fn a_sink_waits_for_the_others() {
    // spec: IOP-25
    let mut core = two_rounds(vec![silent(0, 0, &[]), silent(1, 0, &[])]);
    assert_eq!(give(&mut core, 0, 11), [deliver(0, 0, 11)], "the other sink is in round 0");
    let then = give(&mut core, 1, 21);
    let expected = [deliver(1, 0, 21), Action::RoundDone(0), item(1, 2), item(0, 2)];
    assert_eq!(then, expected);
}

#[test]
fn an_interrupt_drops_an_error_that_waits() {
    let mut core = two_rounds(vec![silent(0, 0, &[(1, 0)]), silent(1, 1, &[])]);
    give(&mut core, 0, 11);
    fail(&mut core, 0);
    let now = Instant::now();
    assert_eq!(core.handle(now, Event::Interrupt), [Action::CutShort(1, 1)]);
    let then = core.handle(now, Event::Failed(1, Failure::default()));
    assert_eq!(then, [Action::RoundDone(0), Action::RoundDone(1)]);
}
