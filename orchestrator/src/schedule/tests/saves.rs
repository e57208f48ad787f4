//! State that outlives its worker, in virtual time.

use super::*;
use crate::model::Retry;

const SAVED: Traits = Traits { is_source: false, flushes: false, state: StateLoss::Saved };

/// One stage whose nodes save their state after every so many items.
fn saving(every: usize, repeats: Option<Retry>) -> Core<u32> {
    let mut shape = stage(Some(0), 0, &[]);
    shape.saves_every = every;
    shape.repeats = repeats;
    let mut core = open(vec![shape], 1);
    core.note(0, SAVED);
    core
}

fn process(core: &mut Core<u32>, value: u32) -> Vec<Action<u32>> {
    let now = Instant::now();
    assert_eq!(core.handle(now, Event::Input(Some(value))), [item(0, value)]);
    core.handle(now, Event::Output(0, value + 100));
    core.handle(now, Event::Done(0))
}

fn done(round: u64) -> Action<u32> {
    Action::RoundDone(round)
}

#[test]
fn a_fresh_worker_repeats_what_came_after_the_last_checkpoint() {
    // spec: CARD-08
    let now = Instant::now();
    let mut core = saving(2, None);
    assert_eq!(process(&mut core, 1), [done(0)]);
    assert_eq!(process(&mut core, 2), [Action::Save(0), done(1)]);
    core.handle(now, Event::Saved(0, true));
    assert_eq!(process(&mut core, 3), [done(2)]);
    // Between two items: nobody gets an error, and the next worker is asked for at once.
    assert_eq!(die(&mut core, 0), [Action::Acquire(vec![0]), Action::Restoring(0, 1)]);
    assert_eq!(reopen(&mut core, 0), [item(0, 3)]);
    assert_eq!(core.handle(now, Event::Output(0, 103)), []);
    assert_eq!(core.handle(now, Event::Done(0)), []);
    assert_eq!(process(&mut core, 4), [Action::Save(0), done(3)]);
}

#[test]
fn a_call_that_dies_with_its_worker_is_repeated_without_the_outputs_that_are_known() {
    // spec: CARD-08
    let now = Instant::now();
    let mut core = saving(9, None);
    process(&mut core, 1);
    core.handle(now, Event::Input(Some(2)));
    assert_eq!(core.handle(now, Event::Output(0, 50)), [deliver(0, 1, 50)]);
    die(&mut core, 0);
    assert_eq!(reopen(&mut core, 0), [item(0, 1)]);
    core.handle(now, Event::Output(0, 101));
    let now = Instant::now();
    assert_eq!(core.handle(now, Event::Done(0)), [item(0, 2)]);
    assert_eq!(core.handle(now, Event::Output(0, 50)), []);
    assert_eq!(core.handle(now, Event::Output(0, 51)), [deliver(0, 1, 51)]);
    assert_eq!(core.handle(now, Event::Done(0)), [done(1)]);
}

#[test]
fn an_item_that_kills_twice_fails_and_the_state_without_it_is_restored() {
    // spec: CARD-08
    let now = Instant::now();
    let mut core = saving(9, None);
    process(&mut core, 1);
    core.handle(now, Event::Input(Some(2)));
    die(&mut core, 0);
    reopen(&mut core, 0);
    let now = Instant::now();
    assert_eq!(core.handle(now, Event::Done(0)), [Action::Differs(0), item(0, 2)]);
    let told = Action::Tell(Blame::Slot(0), 2);
    let again = [Action::Acquire(vec![0]), told, Action::Restoring(0, 1), done(1)];
    assert_eq!(die(&mut core, 0), again);
    assert_eq!(reopen(&mut core, 0), [item(0, 1)]);
    core.handle(now, Event::Output(0, 101));
    core.handle(now, Event::Done(0));
    assert_eq!(process(&mut core, 3), [done(2)]);
}

#[test]
fn what_takes_too_long_is_repeated_only_where_that_is_asked_for() {
    // spec: CARD-02, CARD-08
    let now = Instant::now();
    let retry = Retry { limit: 1, delay: SECOND };
    for (repeats, is_repeated) in [(None, false), (Some(retry), true)] {
        let mut core = saving(9, repeats);
        process(&mut core, 1);
        core.handle(now, Event::Input(Some(2)));
        let excess =
            crate::limits::Excess { limit: crate::limits::Limit::MemoryHard, used: 2, allowed: 1 };
        assert!(matches!(core.handle(now, Event::Exceeded(0, excess))[..], [Action::Expire(..)]));
        let actions = core.handle(now, Event::Lost(0));
        assert_eq!(actions.contains(&Action::Tell(Blame::Slot(0), 1)), !is_repeated);
        assert_eq!(reopen(&mut core, 0), [item(0, 1)]);
        core.handle(now, Event::Output(0, 101));
        assert_eq!(core.handle(now, Event::Done(0)), []);
        let then = core.handle(now + SECOND, Event::Tick);
        assert_eq!(then, if is_repeated { vec![item(0, 2)] } else { vec![] });
    }
}

#[test]
fn a_worker_that_cannot_save_goes_on_until_too_much_is_kept() {
    let now = Instant::now();
    let mut core = saving(1, None);
    for value in 0..8 {
        let is_asked = process(&mut core, value).contains(&Action::Save(0));
        if is_asked {
            core.handle(now, Event::Saved(0, false));
        }
    }
    assert!(process(&mut core, 9).contains(&Action::GiveUpState(0)));
    core.handle(now, Event::Input(Some(10)));
    assert_eq!(die(&mut core, 0), [Action::Tell(Blame::Slot(0), 1), done(9)]);
}

#[test]
fn state_is_given_up_when_repeating_kills_again_and_again() {
    let mut core = saving(9, None);
    process(&mut core, 1);
    for _ in 0..4 {
        assert_eq!(die(&mut core, 0), [Action::Acquire(vec![0]), Action::Restoring(0, 1)]);
        assert_eq!(reopen(&mut core, 0), [item(0, 1)]);
    }
    assert_eq!(die(&mut core, 0), [Action::GiveUpState(0), Action::Tell(Blame::Slot(0), 1)]);
}

#[test]
fn a_worker_that_dies_while_it_saves_is_asked_again_after_more_calls() {
    // spec: CARD-08
    let now = Instant::now();
    let mut core = saving(2, None);
    process(&mut core, 1);
    assert!(process(&mut core, 2).contains(&Action::Save(0)));
    assert_eq!(die(&mut core, 0), [Action::Acquire(vec![0]), Action::Restoring(0, 2)]);
    assert_eq!(reopen(&mut core, 0), [item(0, 1)]);
    for (value, next) in [(1, vec![item(0, 2)]), (2, vec![])] {
        core.handle(now, Event::Output(0, value + 100));
        assert_eq!(core.handle(now, Event::Done(0)), next);
    }
    assert_eq!(process(&mut core, 3), [done(2)]);
    assert_eq!(process(&mut core, 4), [Action::Save(0), done(3)]);
}

#[test]
fn state_is_given_up_when_it_cannot_be_restored_again_and_again() {
    // spec: CARD-08
    let now = Instant::now();
    let mut core = saving(1, None);
    process(&mut core, 1);
    core.handle(now, Event::Saved(0, true));
    die(&mut core, 0);
    for value in 2..6 {
        let last = value == 5;
        core.handle(now, Event::Granted(0));
        let actions = core.handle(now, Event::OpenFailed(0));
        assert_eq!(actions.contains(&Action::GiveUpState(0)), last);
        core.handle(now, Event::Input(Some(value)));
    }
    assert_eq!(reopen(&mut core, 0), [item(0, 5)]);
}

#[test]
fn one_node_that_cannot_save_makes_all_in_its_worker_lose_their_state() {
    let mut core = open(vec![stage(Some(0), 0, &[(1, 0)]), stage(Some(0), 1, &[])], 1);
    core.note(0, SAVED);
    core.note(1, Traits { state: StateLoss::Lost, ..SAVED });
    let now = Instant::now();
    core.handle(now, Event::Input(Some(1)));
    assert_eq!(die(&mut core, 0), [Action::Tell(Blame::Slot(0), 1), done(0)]);
    // A neighbour without state is no obstacle.
    let mut core = open(vec![stage(Some(0), 0, &[(1, 0)]), stage(Some(0), 1, &[])], 1);
    core.note(0, SAVED);
    core.note(1, Traits { state: StateLoss::Stateless, ..SAVED });
    core.handle(now, Event::Input(Some(1)));
    assert_eq!(die(&mut core, 0), [Action::Acquire(vec![0]), Action::Restoring(0, 0)]);
}

#[test]
fn a_worker_that_stands_by_takes_over_at_once() {
    // spec: CARD-08
    let now = Instant::now();
    let mut shape = stage(Some(0), 0, &[]);
    shape.saves_every = 2;
    let mut core = Core::new(vec![shape], &[false], BOUNDS);
    assert_eq!(core.add_standby(0), 1);
    // The session opens without it.
    assert_eq!(core.handle(now, Event::Open), [Action::Acquire(vec![0])]);
    assert_eq!(core.handle(now, Event::Granted(0)), [Action::Open(0)]);
    core.note(0, SAVED);
    assert_eq!(core.handle(now, Event::Opened(0)), [Action::Acquire(vec![1])]);
    // No worker is free: that is no failure, and it is asked for again when there is more to lose.
    assert_eq!(core.handle(now, Event::Refused(1)), []);
    process(&mut core, 1);
    process(&mut core, 2);
    assert_eq!(core.handle(now, Event::Saved(0, true)), [Action::Acquire(vec![1])]);
    assert_eq!(core.handle(now, Event::Granted(1)), [Action::Open(1)]);
    let pass = || Action::PassState { from: 0, to: 1 };
    assert_eq!(core.handle(now, Event::Opened(1)), [pass()]);
    process(&mut core, 3);
    process(&mut core, 4);
    assert_eq!(core.handle(now, Event::Saved(0, true)), [pass()]);
    process(&mut core, 5);
    core.handle(now, Event::Input(Some(6)));
    let promote = Action::Promote { from: 1, to: 0 };
    let next = Action::Acquire(vec![1]);
    assert_eq!(die(&mut core, 0), [promote, next, Action::Restoring(0, 1), item(0, 5)]);
    // The death of one that stands by is no failure either.
    assert_eq!(core.handle(now, Event::Granted(1)), [Action::Open(1)]);
    core.handle(now, Event::Opened(1));
    assert_eq!(die(&mut core, 1), []);
    core.handle(now, Event::Close);
    core.handle(now, Event::Done(0));
    core.handle(now, Event::Closed(0));
    assert!(core.slots().is_closed());
}

#[test]
fn a_worker_that_makes_its_nodes_to_stand_by_is_not_interrupted_at_the_end() {
    // spec: CARD-02
    let now = Instant::now();
    let mut core: Core<u32> = Core::new(vec![stage(Some(0), 0, &[])], &[false], BOUNDS);
    core.add_standby(0);
    core.handle(now, Event::Open);
    core.handle(now, Event::Granted(0));
    core.note(0, SAVED);
    core.handle(now, Event::Opened(0));
    assert_eq!(core.handle(now, Event::Granted(1)), [Action::Open(1)]);
    assert!(!core.slots().is_working(), "the caller waits for none of it");
    assert_eq!(core.handle(now, Event::Close), [Action::Close(0)]);
    assert!(!core.slots().is_left_to_standbys());
    core.handle(now, Event::Closed(0));
    assert!(core.slots().is_left_to_standbys() && !core.slots().is_closed());
    // It makes its nodes, cleans up and is warm; state is not passed to it any more.
    assert_eq!(core.handle(now, Event::Opened(1)), [Action::Close(1)]);
    core.handle(now, Event::Closed(1));
    assert!(core.slots().is_closed());
}

#[test]
fn a_slot_without_a_worker_comes_before_one_that_stands_by() {
    let now = Instant::now();
    let begin = || {
        let mut core = Core::new(vec![stage(Some(0), 0, &[])], &[false], BOUNDS);
        core.add_standby(0);
        core.handle(now, Event::Open);
        core.handle(now, Event::Granted(0));
        core.note(0, SAVED);
        core.handle(now, Event::Opened(0));
        core
    };
    // The request for the one is withdrawn for the other.
    let mut core = begin();
    let again = [Action::Withdraw(1), Action::Acquire(vec![0]), Action::Restoring(0, 0)];
    assert_eq!(die(&mut core, 0), again);
    // Of two workers, the one that stands by is ready first: it takes over.
    let mut core = begin();
    core.handle(now, Event::Granted(1));
    assert_eq!(die(&mut core, 0), [Action::Acquire(vec![0]), Action::Restoring(0, 0)]);
    let pass = Action::PassState { from: 0, to: 1 };
    let promote = Action::Promote { from: 1, to: 0 };
    let actions = core.handle(now, Event::Opened(1));
    assert_eq!(actions, [pass, Action::Withdraw(0), promote, Action::Acquire(vec![1])]);
}
