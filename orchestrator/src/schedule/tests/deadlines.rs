//! Deadlines in virtual time: of single nodes, of opening, of waiting for workers.

use super::*;

fn timed(timeouts: &[Option<Duration>]) -> Core<u32> {
    let mut shape = stage(Some(0), 0, &[]);
    shape.timeouts = timeouts.to_vec();
    open(vec![shape], 1)
}

fn process(node: usize, since: Instant) -> Option<Running> {
    Some(Running { stage: 0, node, operation: FaultKind::Process, since })
}

fn overdue(running: Option<Running>, limit: Duration, deadline: Deadline) -> Action<u32> {
    Action::Expire(0, Overdue { running, limit, deadline })
}

#[test]
fn a_step_that_takes_too_long_expires_once_and_outputs_push_the_deadline() {
    let now = Instant::now();
    let mut core = timed(&[Some(SECOND)]);
    core.handle(now, Event::Input(Some(1)));
    assert_eq!(core.next_deadline(), Some(now + SECOND));
    let later = now + SECOND / 2;
    core.handle(later, Event::Output(0, 1));
    assert_eq!(core.next_deadline(), Some(later + SECOND));
    assert_eq!(core.handle(now + SECOND, Event::Tick), []);
    let end = later + SECOND;
    assert_eq!(core.handle(end, Event::Tick), [Action::Inspect(0)]);
    let seen = process(0, later);
    assert_eq!(core.handle(end, Event::Seen(0, seen)), [overdue(seen, SECOND, Deadline::Node)]);
    assert_eq!(core.handle(end, Event::Tick), []);
    // What still comes of the call that was given up is nobody's output.
    assert_eq!(core.handle(end, Event::Output(0, 2)), []);
    assert_eq!(core.handle(end, Event::Done(0)), []);
    // It is ended elsewhere; the next item gets another worker at once.
    let told = Action::Tell(Blame::Slot(0), 1);
    assert_eq!(core.handle(end, Event::Lost(0)), [told, Action::RoundDone(0)]);
    assert_eq!(core.handle(end, Event::Input(Some(2))), [Action::Acquire(vec![0])]);
}

#[test]
fn each_node_of_a_stage_has_its_own_time_from_when_it_is_entered() {
    let now = Instant::now();
    let mut core = timed(&[Some(SECOND), None, Some(2 * SECOND)]);
    core.handle(now, Event::Input(Some(1)));
    // After a second the node without a time-out runs: it may, and any other could begin now.
    let then = now + SECOND;
    assert_eq!(core.handle(then, Event::Tick), [Action::Inspect(0)]);
    assert_eq!(core.handle(then, Event::Seen(0, process(1, now + SECOND / 2))), []);
    assert_eq!(core.next_deadline(), Some(then + SECOND));
    // The last node was entered half a second later: its two seconds count from there.
    let entered = then + SECOND / 2;
    let then = then + SECOND;
    core.handle(then, Event::Tick);
    assert_eq!(core.handle(then, Event::Seen(0, process(2, entered))), []);
    let due = entered + 2 * SECOND;
    core.handle(then + SECOND, Event::Tick);
    core.handle(then + SECOND, Event::Seen(0, process(2, entered)));
    assert_eq!(core.next_deadline(), Some(due));
    core.handle(due, Event::Tick);
    let seen = process(2, entered);
    assert_eq!(core.handle(due, Event::Seen(0, seen)), [overdue(seen, 2 * SECOND, Deadline::Node)]);
}

#[test]
fn a_worker_that_lies_about_the_time_gains_nothing_before_its_call() {
    let now = Instant::now();
    let mut core = timed(&[Some(SECOND)]);
    core.handle(now, Event::Input(Some(1)));
    let end = now + SECOND;
    core.handle(end, Event::Tick);
    // A note older than the call is one of an earlier call; a later one than now says nothing yet.
    assert_eq!(core.handle(end, Event::Seen(0, process(0, end + 9 * SECOND))), []);
    assert_eq!(core.next_deadline(), Some(end + SECOND));
    core.handle(end + SECOND, Event::Tick);
    let seen = process(0, now - SECOND);
    let actions = core.handle(end + SECOND, Event::Seen(0, seen));
    assert_eq!(actions, [overdue(seen, SECOND, Deadline::Node)]);
}

#[test]
fn between_nodes_their_time_together_counts() {
    let now = Instant::now();
    let mut core = timed(&[Some(SECOND), Some(2 * SECOND)]);
    core.handle(now, Event::Input(Some(1)));
    core.handle(now + SECOND, Event::Tick);
    assert_eq!(core.handle(now + SECOND, Event::Seen(0, None)), []);
    core.handle(now + 2 * SECOND, Event::Tick);
    assert_eq!(core.handle(now + 2 * SECOND, Event::Seen(0, None)), []);
    core.handle(now + 3 * SECOND, Event::Tick);
    let actions = core.handle(now + 3 * SECOND, Event::Seen(0, None));
    assert_eq!(actions, [overdue(None, 3 * SECOND, Deadline::Node)]);
}

// spec: CARD-08
#[test]
fn making_nodes_has_a_deadline_and_initialize_and_restore_the_node_s_own() {
    let now = Instant::now();
    let opening = |timeout| {
        let mut shape = stage(Some(0), 0, &[]);
        shape.timeouts = vec![timeout];
        let mut core: Core<u32> = Core::new(vec![shape], &[false], BOUNDS);
        assert_eq!(core.handle(now, Event::Open), [Action::Acquire(vec![0])]);
        core.handle(now, Event::Granted(0));
        core
    };
    let mut core = opening(None);
    let end = now + BOUNDS.times.open_timeout;
    assert_eq!(core.next_deadline(), Some(end));
    let actions = core.handle(end, Event::Tick);
    assert_eq!(actions, [overdue(None, BOUNDS.times.open_timeout, Deadline::Open)]);

    for method in [FaultKind::Initialize, FaultKind::Restore] {
        let mut core = opening(Some(SECOND));
        // An import takes its time; the method has been entered half a second ago.
        let then = now + SECOND;
        core.handle(then, Event::Tick);
        let at = |operation, since| Some(Running { stage: 0, node: 0, operation, since });
        assert_eq!(core.handle(then, Event::Seen(0, at(FaultKind::Load, now))), []);
        let then = then + SECOND;
        core.handle(then, Event::Tick);
        let seen = at(method, then - SECOND / 2);
        assert_eq!(core.handle(then, Event::Seen(0, seen)), []);
        let due = then + SECOND / 2;
        assert_eq!(core.next_deadline(), Some(due));
        core.handle(due, Event::Tick);
        let actions = core.handle(due, Event::Seen(0, seen));
        assert_eq!(actions, [overdue(seen, SECOND, Deadline::Node)]);
    }
}

#[test]
fn a_worker_that_does_not_die_is_killed_and_then_given_up() {
    let now = Instant::now();
    let mut core = timed(&[None]);
    core.handle(now, Event::Input(Some(1)));
    assert_eq!(core.handle(now, Event::LinkEnded(0)), []);
    let end = now + EXIT_GRACE;
    assert_eq!(core.next_deadline(), Some(end));
    assert_eq!(core.handle(end, Event::Tick), [Action::Kill(0)]);
    assert_eq!(core.handle(end + EXIT_GRACE, Event::Tick), [Action::RemoveDead(0)]);
    let told = Action::Tell(Blame::Slot(0), 1);
    assert_eq!(core.handle(end + EXIT_GRACE, Event::Lost(0)), [told, Action::RoundDone(0)]);
}

#[test]
fn workers_that_are_not_to_be_had_are_waited_for_so_long() {
    let now = Instant::now();
    let mut core = line();
    die(&mut core, 0);
    assert_eq!(core.handle(now, Event::Input(Some(1))), [Action::Acquire(vec![0])]);
    let end = now + BOUNDS.times.acquire_timeout;
    assert_eq!(core.next_deadline(), Some(end));
    let actions = core.handle(end, Event::Tick);
    assert_eq!(actions, [Action::Withdraw(0), Action::Unavailable(0), Action::RoundDone(0)]);
}

#[test]
fn workers_that_never_suit_are_tried_a_few_times() {
    let now = Instant::now();
    let mut core = line();
    die(&mut core, 0);
    core.handle(now, Event::Input(Some(1)));
    for _ in 0..8 {
        assert_eq!(core.handle(now, Event::Granted(0)), [Action::Open(0)]);
        assert_eq!(core.handle(now, Event::Unsuited(0)), [Action::Acquire(vec![0])]);
    }
    core.handle(now, Event::Granted(0));
    let actions = core.handle(now, Event::Unsuited(0));
    assert_eq!(actions, [Action::Unsuitable(0), Action::RoundDone(0)]);
}
