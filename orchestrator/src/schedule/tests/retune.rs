//! Time limits that change while a session is open.

use std::time::{Duration, Instant};

use super::{BOUNDS, SECOND, stage};
use crate::schedule::{Action, Core, Deadline, Event, Overdue, Running, Times, Tuning};
use ipc_protocol::FaultKind;

fn tuning(timeout: Option<Duration>, times: Times) -> Event<u32> {
    Event::Retune(Tuning { slots: vec![times], stages: vec![(vec![timeout], false)] })
}

/// An open session whose one node has been called.
fn called() -> (Core<u32>, Instant) {
    let now = Instant::now();
    let mut core: Core<u32> = Core::new(vec![stage(Some(0), 0, &[])], &[false], BOUNDS);
    for event in [Event::Open, Event::Granted(0), Event::Opened(0), Event::Input(Some(1))] {
        core.handle(now, event);
    }
    (core, now)
}

/// spec: CARD-09
#[test]
fn a_shorter_time_limit_counts_for_the_call_that_runs() {
    let (mut core, began) = called();
    assert_eq!(core.next_deadline(), None, "it has no limit");
    let now = began + SECOND;
    core.handle(now, tuning(Some(SECOND * 2), BOUNDS.times));
    assert_eq!(core.next_deadline(), Some(now), "the worker is looked at");
    assert_eq!(core.handle(now, Event::Tick), [Action::Inspect(0)]);
    let running = Running { stage: 0, node: 0, operation: FaultKind::Process, since: began };
    core.handle(now, Event::Seen(0, Some(running)));
    let due = began + SECOND * 2;
    assert!(core.next_deadline().is_some_and(|next| next <= due));
    core.handle(due, Event::Tick);
    let actions = core.handle(due, Event::Seen(0, Some(running)));
    let overdue = Overdue { running: Some(running), limit: SECOND * 2, deadline: Deadline::Node };
    assert!(actions.contains(&Action::Expire(0, overdue)), "{actions:?}");
}

#[test]
fn a_longer_time_limit_lets_the_call_go_on() {
    let (mut core, began) = called();
    core.handle(began, tuning(Some(SECOND), BOUNDS.times));
    core.handle(began, tuning(None, BOUNDS.times));
    core.handle(began, Event::Tick);
    core.handle(began, Event::Seen(0, None));
    assert_eq!(core.next_deadline(), None);
}

#[test]
fn the_time_for_opening_changes_while_nodes_are_made() {
    let now = Instant::now();
    let mut core: Core<u32> = Core::new(vec![stage(Some(0), 0, &[])], &[false], BOUNDS);
    core.handle(now, Event::Open);
    core.handle(now, Event::Granted(0));
    let times = Times { open_timeout: SECOND, ..BOUNDS.times };
    core.handle(now, tuning(None, times));
    let actions = core.handle(now + SECOND, Event::Tick);
    let overdue = Overdue { running: None, limit: SECOND, deadline: Deadline::Open };
    assert!(actions.contains(&Action::Expire(0, overdue)), "{actions:?}");
}
