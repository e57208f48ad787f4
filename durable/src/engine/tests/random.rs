//! Random graphs under random interleavings of results, deaths of the engine and failed writes,
//! beside a reference that knows only what each task will do.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::world::{World, failed, graph, returned};
use crate::engine::{AttemptResult, Event, Graph};
use crate::failure::FailureKind;
use crate::record::{RunStatus, StepStatus};
use crate::store::Store;
use crate::value::Kept;

/// What a task does in its attempts.
#[derive(Debug, Clone)]
struct Plan {
    /// Tasks before it, each true if it depends on it.
    after: Vec<bool>,
    /// How often it raises before it returns.
    raises: u32,
    /// How often its process dies before that.
    dies: u32,
    retries: u32,
    crash_retries: u32,
    once: bool,
    always: bool,
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let plan = (
        prop::collection::vec(prop::bool::weighted(0.4), 5),
        (0_u32..3, 0_u32..3, 0_u32..3, 0_u32..2),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
    );
    let plan = plan.prop_map(|(after, (raises, dies, retries, crash_retries), once, always)| {
        Plan { after, raises, dies, retries, crash_retries, once, always }
    });
    prop::collection::vec(plan, 1..6)
}

fn graph_of(plans: &[Plan]) -> Arc<Graph> {
    let tasks = plans.iter().enumerate().map(|(index, plan)| {
        let after: Vec<String> =
            (0..index).filter(|p| plan.after[*p]).map(|p| format!("t{p}")).collect();
        let mut task = json!({
            "name": format!("t{index}"), "after": after, "once": plan.once, "function": "m:f",
            "crash_retries": plan.crash_retries, "retry": {"retries": plan.retries, "delay_ms": 10},
        });
        if plan.always {
            task["when"] = json!({"always": {}});
        }
        task
    });
    graph(tasks.collect())
}

/// The outcomes that the rules promise. A task that must run once and was running when the engine
/// died fails, whatever it would have done.
fn reference(plans: &[Plan], uncertain: &[bool]) -> Vec<&'static str> {
    let mut outcomes: Vec<&'static str> = Vec::new();
    for (index, plan) in plans.iter().enumerate() {
        let have_completed =
            (0..index).filter(|p| plan.after[*p]).all(|p| outcomes[p] == "completed");
        let is_repeated = plan.dies <= plan.crash_retries && plan.raises <= plan.retries;
        let succeeds = if plan.once { plan.dies + plan.raises == 0 } else { is_repeated };
        outcomes.push(match () {
            () if !have_completed && !plan.always => "skipped",
            () if uncertain[index] || !succeeds => "failed",
            () => "completed",
        });
    }
    outcomes
}

/// What the world does next.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Store,
    End(usize),
    FailStore,
    Die,
    Wait,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        6 => Just(Turn::Store),
        6 => (0_usize..4).prop_map(Turn::End),
        1 => Just(Turn::FailStore),
        1 => Just(Turn::Die),
        2 => Just(Turn::Wait),
    ];
    prop::collection::vec(turn, 0..40)
}

/// Counts the attempts of each step whose end was durable: the plan goes on from there.
fn result(plans: &[Plan], world: &mut World, index: usize) -> AttemptResult {
    let job = &world.running[index];
    let plan = &plans[job.step[1..].parse::<usize>().unwrap()];
    let (run, step) = (job.run.clone(), job.step.clone());
    let row = world.store.find(&run).unwrap().unwrap();
    let row = row.steps.into_iter().find(|row| row.name == step);
    let (raised, crashes) = row.map_or((0, 0), |row| (row.raised, row.crashes));
    // What is not durable yet counts too: `attempt` of the job knows it.
    let before = world.running[index].attempt - 1;
    let (raised, crashes) = match raised + crashes == before {
        true => (raised, crashes),
        false if before <= plan.dies => (0, before),
        false => (before - plan.dies, plan.dies),
    };
    match () {
        () if crashes < plan.dies => failed(FailureKind::Crashed),
        () if raised < plan.raises => failed(FailureKind::Raised),
        () => returned(i64::from(before)),
    }
}

fn check(plans: &[Plan], turns: &[Turn]) {
    let graph = graph_of(plans);
    let mut world = World::new(2);
    world.submit("r", &graph, Kept::none());
    world.store_now();
    let mut uncertain = vec![false; plans.len()];
    let mut durable: HashMap<String, Option<Kept>> = HashMap::new();
    for turn in turns {
        match turn {
            Turn::Store => _ = world.store_now(),
            Turn::FailStore => _ = world.fail_store(false),
            Turn::End(index) if !world.running.is_empty() => {
                let index = index % world.running.len();
                let result = result(plans, &mut world, index);
                world.end_job(index, result);
            }
            Turn::End(_) => {}
            Turn::Wait => {
                world.now_ms = world.engine.due_ms().unwrap_or(world.now_ms).max(world.now_ms);
                world.hear(Event::Tick);
            }
            Turn::Die => {
                for row in world.found("r").steps {
                    let task: usize = row.name[1..].parse().unwrap();
                    uncertain[task] |= row.status == StepStatus::Started;
                }
                world.restart(&[]);
            }
        }
        assert!(world.running.len() <= 2, "more tasks than workers");
        for row in world.found("r").steps {
            // No result is ever replaced, and nothing that has ended begins again.
            let before = durable.get(&row.name);
            if let (Some(before), StepStatus::Ended(_)) = (before, row.status) {
                assert_eq!(*before, row.output, "{}", row.name);
            }
            assert!(before.is_none() || matches!(row.status, StepStatus::Ended(_)));
            if matches!(row.status, StepStatus::Ended(_)) {
                durable.insert(row.name, row.output);
            }
        }
        for job in &world.running {
            assert!(!durable.contains_key(&job.step), "{} runs again", job.step);
        }
    }
    finish(plans, &mut world);
    let expected = reference(plans, &uncertain);
    let steps = world.steps("r");
    let found: Vec<&str> = steps.values().map(String::as_str).collect();
    assert_eq!(found, expected);
    let has_failed = expected.contains(&"failed");
    let status = if has_failed { RunStatus::Failed } else { RunStatus::Completed };
    assert_eq!(world.found("r").run.status, status);
    assert!(world.engine.is_idle());
    for (index, plan) in plans.iter().enumerate().filter(|(_, plan)| plan.once) {
        let name = format!("t{index}");
        let starts = world.started.iter().filter(|(_, step)| *step == name).count();
        assert!(starts <= 1, "{name} ({plan:?}) was started {starts} times");
    }
}

/// Lets everything go on without further trouble.
fn finish(plans: &[Plan], world: &mut World) {
    for _ in 0..10_000 {
        if world.store_now() {
            continue;
        }
        if !world.running.is_empty() {
            let result = result(plans, world, 0);
            world.end_job(0, result);
            continue;
        }
        let Some(due) = world.engine.due_ms() else { return };
        world.now_ms = world.now_ms.max(due);
        world.hear(Event::Tick);
    }
    panic!("it does not end");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_as_the_rules_promise(plans in plans(), turns in turns()) {
        // spec: CLO-20
        check(&plans, &turns);
    }
}
