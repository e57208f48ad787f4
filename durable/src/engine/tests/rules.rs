//! The rules one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipc_protocol::Value;
use serde_json::json;

use super::world::{World, failed, graph, graph_of, kept, returned, script};
use crate::cron::{Cron, Schedule};
use crate::engine::{Argument, AttemptResult, Event, Fork, Job, NewRun, Until};
use crate::failure::FailureKind;
use crate::record::{Outcome, RunStatus, StepStatus};
use crate::store::Store;
use crate::value::Kept;

fn nothing(_job: &Job) -> AttemptResult {
    AttemptResult::Returned(Kept::none())
}

#[test]
fn tasks_run_after_those_they_depend_on_and_beside_others() {
    // spec: CLO-08
    // spec: CLO-14
    let graph = graph(json!([
        {"name": "a"}, {"name": "b"}, {"name": "c", "after": ["a", "b"]},
    ]));
    let mut world = World::new(2);
    let ticket = world.submit("r", &graph, Kept::none());
    assert!(world.running.is_empty(), "nothing runs before the run is durable");
    world.store_now();
    assert_eq!(world.answers[&ticket], Ok(vec!["r".into()]));
    assert_eq!(world.running.len(), 2);
    world.end_job(0, returned(1));
    world.end_job(0, returned(2));
    while world.writing.is_some() && world.running.is_empty() {
        world.store_now();
    }
    assert_eq!(world.running[0].step, "c", "once both are durable");
    world.run(&mut nothing);
    assert_eq!(world.ended[0].status, RunStatus::Completed);
    assert_eq!(world.found("r").run.status, RunStatus::Completed);
}

#[test]
fn a_failure_skips_what_follows_unless_a_condition_wants_it() {
    // spec: CLO-13
    let graph = graph(json!([
        {"name": "a"},
        {"name": "b", "after": ["a"]},
        {"name": "c", "after": ["b"]},
        {"name": "mend", "when": {"outcome": {"task": "a", "is": "failed"}}},
        {"name": "last", "after": ["c"], "when": {"always": {}}},
    ]));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    let failing = [("a", [failed(FailureKind::Raised)].into())];
    world.run(&mut script(BTreeMap::from(failing)));
    let steps = world.steps("r");
    let words: Vec<&str> = steps.values().map(String::as_str).collect();
    assert_eq!(words, ["failed", "skipped", "skipped", "completed", "completed"]);
    assert_eq!(world.ended[0].status, RunStatus::Failed);
    assert_eq!(world.ended[0].failure.as_ref().unwrap().task, "a");
}

#[test]
fn retries_wait_for_their_time_also_after_a_restart() {
    // spec: CLO-09
    let graph = graph(json!([
        {"name": "a", "retry": {"retries": 2, "delay_ms": 5000, "on": ["ValueError"]}},
    ]));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    world.store_now();
    world.end_job(0, failed(FailureKind::Raised));
    world.store_now();
    assert_eq!(world.engine.due_ms(), Some(1_005_000));
    world.now_ms += 2000;
    world.restart(&[]);
    assert!(world.running.is_empty());
    assert_eq!(world.engine.due_ms(), Some(1_005_000));
    // A clock that was set back starts nothing early, and nothing twice.
    world.now_ms -= 3_600_000;
    world.hear(Event::Tick);
    assert!(world.running.is_empty());
    world.now_ms = 1_005_000;
    world.hear(Event::Tick);
    assert_eq!(world.running[0].attempt, 2);
    world.end_job(0, failed(FailureKind::Raised));
    world.store_now();
    assert_eq!(world.engine.due_ms(), Some(1_015_000), "twice as long");
    world.run(&mut |_| failed(FailureKind::Raised));
    assert_eq!(world.ended[0].status, RunStatus::Failed);
    assert_eq!(world.started.len(), 3);
}

#[test]
fn other_exceptions_are_not_repeated() {
    let graph = graph(json!([{"name": "a", "retry": {"retries": 2, "on": ["OSError"]}}]));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    world.run(&mut |_| failed(FailureKind::Raised));
    assert_eq!(world.started.len(), 1);
}

#[test]
fn a_death_has_a_budget_of_its_own_and_wants_a_fresh_worker() {
    // spec: CLO-19
    let graph = graph(json!([{"name": "a", "crash_retries": 1, "retry": {"retries": 1}}]));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    let mut fresh = Vec::new();
    let mut results = [FailureKind::Crashed, FailureKind::Raised].into_iter();
    world.run(&mut |job| {
        fresh.push(job.wants_fresh);
        results.next().map_or_else(|| returned(1), failed)
    });
    assert_eq!(fresh, [false, true, false]);
    assert_eq!(world.ended[0].status, RunStatus::Completed);
    let row = &world.found("r").steps[0];
    assert_eq!((row.attempts, row.crashes, row.raised), (3, 1, 1));
    world.submit("s", &graph, Kept::none());
    world.run(&mut |_| failed(FailureKind::Crashed));
    assert_eq!(world.ended[1].failure.as_ref().unwrap().kind, FailureKind::Crashed);
    assert_eq!(world.started.len(), 5, "two attempts");
}

#[test]
fn what_must_run_once_is_written_first_and_not_started_again() {
    // spec: CLO-20
    let graph = graph(json!([{"name": "pay", "once": true, "crash_retries": 3}, {"name": "b"}]));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    world.store_now();
    assert!(world.running.is_empty(), "its start is being written");
    world.store_now();
    assert_eq!(world.running[0].step, "pay");
    world.restart(&[]);
    world.run(&mut nothing);
    assert_eq!(world.ended[0].failure.as_ref().unwrap().kind, FailureKind::Uncertain);
    assert_eq!(world.steps("r")["pay"], "failed");
    assert_eq!(world.steps("r")["b"], "completed");
    assert_eq!(world.started.iter().filter(|(_, step)| step == "pay").count(), 1);
}

#[test]
fn a_cancelled_run_stops_what_runs() {
    let graph = graph(json!([{"name": "a"}, {"name": "b", "after": ["a"]}, {"name": "c"}]));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    world.store_now();
    let ticket = world.ticket();
    world.hear(Event::Cancel(ticket, "r".into()));
    assert_eq!(world.stops.len(), 1);
    world.run(&mut nothing);
    assert_eq!(world.ended[0].status, RunStatus::Cancelled);
    assert!(world.steps("r").values().all(|status| status == "cancelled"));
    assert_eq!(world.answers[&ticket], Ok(vec!["r".into()]));
    world.hear(Event::Cancel(ticket + 1000, "r".into()));
    assert!(world.answers[&(ticket + 1000)].is_err());
}

#[test]
fn a_run_that_takes_too_long_fails() {
    let graph = graph_of(json!({
        "name": "w", "hash": "h", "timeout_ms": 60_000, "tasks": [{"name": "a"}],
    }));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    world.store_now();
    assert_eq!(world.engine.due_ms(), Some(1_060_000));
    world.now_ms += 60_000;
    world.hear(Event::Tick);
    world.run(&mut nothing);
    assert_eq!(world.ended[0].status, RunStatus::Failed);
    assert_eq!(world.ended[0].failure.as_ref().unwrap().kind, FailureKind::RunTimedOut);
}

#[test]
fn a_task_whose_steps_take_too_long_together_is_stopped() {
    // spec: CLO-10
    let graph = graph(json!([{
        "name": "a", "timeout_ms": 1000, "takes": [{"name": "ctx", "source": "handle"}],
        "retry": {"retries": 1, "delay_ms": 10},
    }]));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    world.store_now();
    world.end_job(0, failed(FailureKind::Raised));
    world.store_now();
    world.now_ms += 10;
    world.hear(Event::Tick);
    assert_eq!(world.running.len(), 1);
    world.now_ms += 1099;
    world.hear(Event::Tick);
    assert!(world.stops.is_empty(), "the limit of the first attempt is none of the second");
    world.now_ms += 1;
    world.hear(Event::Tick);
    assert_eq!(world.stops, [world.running[0].id]);
    world.run(&mut nothing);
    let failure = world.ended[0].failure.as_ref().unwrap();
    assert_eq!((failure.kind, failure.task.as_str()), (FailureKind::TimedOut, "a"));
    assert!(world.store.attempts("r").unwrap().iter().any(|attempt| attempt.result == "timed_out"));
}

#[test]
fn a_mapped_task_runs_for_each_element_and_goes_on_where_it_was() {
    // spec: CLO-17
    let graph = graph(json!([
        {"name": "list"},
        {"name": "each", "map": "list", "takes": [{"name": "list", "source": "task"}]},
        {"name": "sum", "takes": [{"name": "each", "source": "task"}]},
    ]));
    let mut world = World::new(2);
    world.submit("r", &graph, Kept::none());
    world.store_now();
    let items = Value::List(vec![Value::Int(5), Value::Int(6), Value::Int(7)]);
    world.end_job(0, returned(items));
    while world.running.is_empty() {
        world.store_now();
    }
    assert_eq!(world.running.len(), 2, "as many as there are workers");
    world.end_job(0, returned(50));
    world.store_now();
    world.restart(&[]);
    let mut elements = Vec::new();
    let mut whole = None;
    world.run(&mut |job| {
        match &job.arguments[0].1 {
            Argument::Whole(element) => elements.push(element.clone()),
            Argument::List(all) => whole = Some(all.len()),
            other => panic!("{other:?}"),
        }
        returned(1)
    });
    assert_eq!(elements, [kept(6), kept(7)], "the first is not run again");
    assert_eq!(whole, Some(3));
    assert_eq!(world.ended[0].status, RunStatus::Completed);
    assert_eq!(world.steps("r")["each[0]"], "completed");
}

#[test]
fn a_list_that_is_made_again_and_is_shorter_leaves_no_parts() {
    // spec: CLO-15
    let graph = graph(json!([
        {"name": "list"},
        {"name": "each", "map": "list", "takes": [{"name": "list", "source": "task"}]},
        {"name": "last", "after": ["each"]},
    ]));
    let list = |count: i64| returned(Value::List((0..count).map(Value::Int).collect()));
    let mut world = World::new(2);
    world.submit("r", &graph, Kept::none());
    world.run(&mut |job| match job.step.as_str() {
        "list" => list(4),
        "last" => failed(FailureKind::Raised),
        _ => returned(1),
    });
    let (ticket, found) = (world.ticket(), Box::new(world.found("r")));
    world.hear(Event::Resume(ticket, found, Some("list".to_owned())));
    world.store_now();
    world.restart(&[]);
    world.run(&mut |job| if job.step == "list" { list(1) } else { returned(2) });
    assert_eq!(world.found("r").run.status, RunStatus::Completed);
    let steps = world.steps("r").into_keys().collect::<Vec<_>>();
    assert_eq!(steps, ["each", "each[0]", "last", "list"]);
}

#[test]
fn a_pause_that_was_cancelled_begins_again() {
    // spec: CLO-15
    let graph = graph(json!([
        {"name": "a", "takes": [{"name": "ctx", "source": "handle"}], "retry": {"retries": 1}},
    ]));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    world.store_now();
    world.end_job(0, AttemptResult::Suspended(Until::Pause("nap".to_owned(), 30_000)));
    world.store_all();
    let ticket = world.ticket();
    world.hear(Event::Cancel(ticket, "r".into()));
    world.store_all();
    let (ticket, found) = (world.ticket(), Box::new(world.found("r")));
    world.hear(Event::Resume(ticket, found, None));
    world.store_now();
    world.end_job(0, failed(FailureKind::Raised));
    let mut inner = Vec::new();
    world.run(&mut |job| {
        inner.push(job.inner.len());
        returned(1)
    });
    assert_eq!(inner, [0], "the pause before the retry is not the one of the task");
}

#[test]
fn pauses_and_events_need_no_worker() {
    let graph = graph(json!([{"name": "a", "takes": [{"name": "ctx", "source": "handle"}]}]));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    world.store_now();
    let ticket = world.ticket();
    world.hear(Event::Noted(ticket, world.running[0].id, "first".to_owned(), kept(1)));
    assert!(!world.answers.contains_key(&ticket), "it goes on when the step is durable");
    world.store_now();
    assert!(world.answers.contains_key(&ticket));
    world.end_job(0, AttemptResult::Suspended(Until::Pause("nap".to_owned(), 30_000)));
    world.store_all();
    world.restart(&[]);
    assert_eq!(world.engine.due_ms(), Some(1_030_000));
    world.now_ms += 30_000;
    world.hear(Event::Tick);
    let inner = |world: &World| {
        let inner = world.running[0].inner.iter();
        inner.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(inner(&world), ["first", "nap"]);
    world.end_job(0, AttemptResult::Suspended(Until::Event("go".to_owned())));
    world.store_all();
    assert!(world.running.is_empty());
    world.restart(&[]);
    assert!(world.running.is_empty());
    let ticket = world.ticket();
    world.hear(Event::Signal(ticket, "r".into(), "go".to_owned(), kept(7)));
    assert_eq!(world.running[0].events, [("go".to_owned(), kept(7))]);
    assert_eq!(inner(&world).len(), 2);
    world.run(&mut nothing);
    assert_eq!(world.ended[0].status, RunStatus::Completed);
    assert_eq!(world.found("r").steps[0].raised, 0, "a pause is no failure");
}

#[test]
fn a_run_is_begun_once_under_its_name() {
    let graph = graph(json!([{"name": "a"}]));
    let mut world = World::new(1);
    let first = world.submit("r", &graph, Kept::none());
    let again = world.submit("r", &graph, Kept::none());
    world.run(&mut nothing);
    let late = world.submit("r", &graph, Kept::none());
    world.run(&mut nothing);
    for ticket in [first, again, late] {
        assert_eq!(world.answers[&ticket], Ok(vec!["r".into()]));
    }
    assert_eq!(world.started.len(), 1);
    assert_eq!(world.ended.len(), 1);
    assert!(!world.engine.is_at_work("r"));
}

#[test]
fn many_submissions_are_one_write() {
    let graph = graph(json!([{"name": "a"}]));
    let mut world = World::new(1);
    world.submit("r0", &graph, Kept::none());
    world.run(&mut nothing);
    let run = |n: u32| NewRun {
        id: format!("r{n}").into(),
        graph: Arc::clone(&graph),
        input: Kept::none(),
    };
    let ticket = world.ticket();
    world.hear(Event::Submit(ticket, (0..4500).map(run).collect()));
    assert_eq!(world.writing.as_ref().unwrap().len(), 4500);
    world.run(&mut nothing);
    assert_eq!(world.answers[&ticket].as_ref().unwrap().len(), 4500);
    assert_eq!(world.started.len(), 4500);
    assert_eq!(world.ended.len(), 4500);
}

#[test]
fn a_failed_write_refuses_new_runs_and_keeps_results() {
    let graph = graph(json!([{"name": "a"}]));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    world.store_now();
    world.end_job(0, returned(1));
    let refused = world.submit("s", &graph, Kept::none());
    let again = world.submit("r", &graph, Kept::none());
    assert!(world.fail_store(false), "the result of r is in the write, the run s waits behind it");
    assert_eq!(world.troubles, ["disk full"]);
    assert!(world.answers[&refused].is_err());
    assert!(world.answers[&again].is_err(), "it is at work, and loses nothing");
    assert!(!world.engine.is_at_work("s"));
    world.run(&mut nothing);
    assert_eq!(world.found("r").run.status, RunStatus::Completed);
    assert!(world.store.find("s").unwrap().is_none());
    // One whose write was made, but whose answer was lost, is removed: its caller may submit it again.
    let lost = world.submit("u", &graph, Kept::none());
    let changes = Arc::clone(world.writing.as_ref().unwrap());
    world.store.write(&changes).unwrap();
    world.fail_store(false);
    assert!(world.answers[&lost].is_err());
    world.run(&mut nothing);
    assert!(world.store.find("u").unwrap().is_none());
    world.submit("t", &graph, Kept::none());
    world.fail_store(true);
    assert_eq!(world.halted.as_deref(), Some("disk full"));
}

#[test]
fn a_failed_run_goes_on_where_it_failed() {
    // spec: CLO-15
    let graph =
        graph(json!([{"name": "a"}, {"name": "b", "after": ["a"]}, {"name": "c", "after": ["b"]}]));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    world.run(&mut script(BTreeMap::from([("b", [failed(FailureKind::Raised)].into())])));
    assert_eq!(world.ended[0].status, RunStatus::Failed);
    let (found, ticket) = (Box::new(world.found("r")), world.ticket());
    world.hear(Event::Resume(ticket, found, None));
    world.run(&mut nothing);
    assert_eq!(world.ended[1].status, RunStatus::Completed);
    let steps: Vec<&str> = world.started.iter().map(|(_, step)| step.as_str()).collect();
    assert_eq!(steps, ["a", "b", "b", "c"]);
    let (found, ticket) = (Box::new(world.found("r")), world.ticket());
    world.hear(Event::Resume(ticket, found, Some("b".to_owned())));
    world.run(&mut nothing);
    assert_eq!(world.started.len(), 6, "b and c again");
    let (found, ticket) = (Box::new(world.found("r")), world.ticket());
    world.hear(Event::Resume(ticket, found, Some("x".to_owned())));
    assert!(world.answers[&ticket].is_err());
}

#[test]
fn a_fork_takes_over_what_was_done_before_a_step() {
    // spec: CLO-15
    let graph = graph(json!([{"name": "a"}, {"name": "b", "after": ["a"]}, {"name": "c"}]));
    let mut world = World::new(1);
    world.submit("r", &graph, Kept::none());
    world.run(&mut |_| returned(3));
    let (source, ticket) = (world.found("r"), world.ticket());
    let input = Some(kept(9));
    let fork = Fork { id: "f".into(), source, from: "b".to_owned(), input: input.clone() };
    world.hear(Event::Fork(ticket, Box::new(fork)));
    world.run(&mut |_| returned(4));
    let found = world.found("f");
    assert_eq!(found.run.status, RunStatus::Completed);
    assert_eq!((found.run.parent.as_deref(), Some(found.run.input)), (Some("r"), input));
    let of_fork = world.started.iter().filter(|(run, _)| run == "f");
    assert_eq!(of_fork.map(|(_, step)| step.as_str()).collect::<Vec<_>>(), ["b"]);
    let outputs: Vec<_> = found.steps.into_iter().map(|row| row.output.unwrap()).collect();
    assert_eq!(outputs, [kept(3), kept(4), kept(3)]);
}

fn versioned(hash: &str, policy: &str, function: Option<&str>) -> Arc<crate::engine::Graph> {
    graph_of(json!({
        "name": "w", "version": "1", "hash": hash, "on_change": policy,
        "tasks": [{"name": "a", "function": function}, {"name": "b", "after": ["a"], "function": function}],
    }))
}

#[test]
fn runs_in_flight_keep_their_graph_and_follow_the_policy() {
    // spec: CLO-12
    for (policy, expected) in
        [("continue", vec!["a", "b"]), ("pin", vec!["a"]), ("restart", vec!["a", "a", "b"])]
    {
        let mut world = World::new(1);
        world.submit("r", &versioned("old", policy, None), Kept::none());
        world.store_now();
        world.end_job(0, returned(1));
        // The engine dies after the result of `a` is durable and before `b` begins.
        let changes = world.writing.take().unwrap();
        world.store.write(&changes).unwrap();
        world.restart(&[]);
        world.run(&mut nothing);
        assert_eq!(world.started.len(), 1, "{policy}: its code is not there");
        world.hear(Event::Register(versioned("new", policy, None)));
        let mut codes = Vec::new();
        world.run(&mut |job| {
            codes.push(job.code.clone().unwrap());
            returned(1)
        });
        let steps: Vec<&str> = world.started.iter().map(|(_, step)| step.as_str()).collect();
        assert_eq!(steps, expected, "{policy}");
        assert!(codes.iter().all(|code| code == "new"));
        world.hear(Event::Register(versioned("old", policy, None)));
        world.run(&mut nothing);
        assert_eq!(world.ended.len(), 1, "{policy}: with its own code it ends");
    }
    let mut world = World::new(1);
    world.submit("r", &versioned("old", "continue", Some("m:f")), Kept::none());
    world.store_now();
    world.restart(&[]);
    world.run(&mut nothing);
    assert_eq!(world.ended.len(), 1, "functions that can be imported need no program");
}

#[test]
fn a_schedule_begins_one_run_for_each_time() {
    let graph = graph(json!([{"name": "a"}]));
    let mut world = World::new(1);
    world.now_ms = 1_000_000_000_000;
    let cron = Cron::parse("*/10 * * * *", "UTC").unwrap();
    let schedule = Schedule {
        name: "s".to_owned(),
        hash: "h1".to_owned(),
        spec: "*/10 * * * *".to_owned(),
        zone: "UTC".to_owned(),
        input: Kept::none(),
        catch_up: true,
        next_ms: cron.next(world.now_ms).unwrap(),
    };
    let ticket = world.ticket();
    world.hear(Event::Schedule(ticket, Box::new(schedule.clone()), cron.clone()));
    assert_eq!(world.engine.due_ms(), None, "its workflow is not registered");
    world.hear(Event::Register(graph));
    for _ in 0..3 {
        world.now_ms = world.engine.due_ms().unwrap();
        world.hear(Event::Tick);
        world.settle(&mut nothing);
    }
    // The clock is set back by an hour, and the schedule starts again from an older row.
    world.now_ms -= 3_600_000;
    world.hear(Event::Schedule(ticket + 1000, Box::new(schedule), cron));
    world.now_ms += 3_600_000;
    world.hear(Event::Tick);
    world.settle(&mut nothing);
    assert_eq!(world.started.len(), 3, "no time begins two runs");
    assert_eq!(world.ended[0].id.as_ref(), "s@2001-09-09T01:50Z");
    world.now_ms += 25 * 60_000;
    world.hear(Event::Tick);
    world.settle(&mut nothing);
    assert_eq!(world.started.len(), 5, "missed times are caught up with");
    assert_eq!(world.store.schedules().unwrap()[0].next_ms % 600_000, 0);
}

#[test]
fn rows_have_the_words_of_their_states() {
    for outcome in [Outcome::Completed, Outcome::Failed, Outcome::Skipped, Outcome::Cancelled] {
        let status = StepStatus::Ended(outcome);
        assert_eq!(StepStatus::from_word(status.word()), Some(status));
    }
}
