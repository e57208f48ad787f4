//! Opening in turn, and the end of a session.

use super::*;

#[test]
fn slots_that_open_first_are_waited_for() {
    let now = Instant::now();
    let shapes = vec![stage(Some(0), 0, &[(1, 0)]), stage(Some(1), 1, &[])];
    let mut core: Core<u32> = Core::new(shapes, &[false, true], BOUNDS);
    assert_eq!(core.handle(now, Event::Open), [Action::Acquire(vec![0, 1])]);
    assert_eq!(core.handle(now, Event::Granted(0)), []);
    assert_eq!(core.handle(now, Event::Granted(1)), [Action::Open(1)]);
    assert_eq!(core.handle(now, Event::Opened(1)), [Action::Open(0)]);
    assert!(core.slots().is_opening());
    assert_eq!(core.handle(now, Event::Opened(0)), []);
    assert!(!core.slots().is_opening());
}

#[test]
fn a_session_that_cannot_open_gives_its_workers_back() {
    let now = Instant::now();
    let shapes = vec![stage(Some(0), 0, &[]), stage(Some(1), 0, &[]), stage(Some(2), 0, &[])];
    let mut core: Core<u32> = Core::new(shapes, &[false, true, true], BOUNDS);
    core.handle(now, Event::Open);
    (0..3).for_each(|slot| drop(core.handle(now, Event::Granted(slot))));
    core.handle(now, Event::OpenFailed(1));
    assert!(core.slots().is_opening(), "the other one is being made");
    core.handle(now, Event::Opened(2));
    assert!(!core.slots().is_opening());
    assert_eq!(core.handle(now, Event::Close), [Action::Release(0), Action::Close(2)]);
    assert_eq!(core.handle(now, Event::Closed(2)), []);
    assert!(core.slots().is_closed());
}

#[test]
fn what_runs_is_interrupted_and_cleaned_up_after() {
    let now = Instant::now();
    let mut core = line();
    core.handle(now, Event::Input(Some(1)));
    assert_eq!(core.handle(now, Event::Close), [Action::Interrupt(0), Action::Close(1)]);
    assert_eq!(core.handle(now, Event::Output(0, 10)), []);
    assert_eq!(core.handle(now, Event::Failed(0, Failure::default())), [Action::Close(0)]);
    core.handle(now, Event::Closed(1));
    assert!(!core.slots().is_closed());
    core.handle(now, Event::Closed(0));
    assert!(core.slots().is_closed());
    assert_eq!(core.handle(now, Event::Close), []);
}

#[test]
fn a_call_that_is_suspended_needs_no_interrupt() {
    let now = Instant::now();
    let mut core = line();
    core.handle(now, Event::Input(Some(1)));
    // The second stage works on the first output; the queue before it is full.
    (0..4).for_each(|value| drop(core.handle(now, Event::Output(0, value))));
    assert_eq!(core.handle(now, Event::Close), [Action::Interrupt(1), Action::Close(0)]);
}

#[test]
fn what_does_not_end_is_killed_when_the_time_is_over() {
    let now = Instant::now();
    let mut core = line();
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Close);
    let end = now + BOUNDS.times.close_timeout;
    let over =
        Overdue { running: None, limit: BOUNDS.times.close_timeout, deadline: Deadline::Close };
    assert_eq!(core.handle(end, Event::Tick), [Action::Expire(0, over), Action::Expire(1, over)]);
    for slot in [0, 1] {
        assert_eq!(core.handle(end, Event::Lost(slot)), []);
    }
    assert!(core.slots().is_closed());
}

#[test]
fn a_request_for_a_worker_is_withdrawn() {
    let now = Instant::now();
    let mut core = line();
    die(&mut core, 0);
    core.handle(now, Event::Input(Some(1)));
    assert_eq!(core.handle(now, Event::Close), [Action::Withdraw(0), Action::Close(1)]);
    core.handle(now, Event::Closed(1));
    assert!(core.slots().is_closed());
}

#[test]
fn a_late_round_is_worked_on_to_its_end_and_its_outputs_are_dropped() {
    // spec: CARD-02
    let now = Instant::now();
    let mut core = line();
    core.handle(now, Event::Input(Some(1)));
    core.handle(now, Event::Output(0, 2));
    assert_eq!(core.handle(now, Event::Output(1, 3)), [deliver(1, 0, 3)]);
    assert_eq!(core.handle(now, Event::Late), []);
    core.handle(now, Event::Input(Some(9)));
    assert_eq!(core.handle(now, Event::Output(1, 4)), []);
    core.handle(now, Event::Done(1));
    assert_eq!(core.handle(now, Event::Done(0)), [item(0, 9), Action::RoundDone(0)]);
    core.handle(now, Event::Output(0, 10));
    assert_eq!(core.handle(now, Event::Output(1, 11)), [deliver(1, 1, 11)]);
}
