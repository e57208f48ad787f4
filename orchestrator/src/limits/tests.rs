//! Limits, what exceeds them, and rates in virtual time.

use std::time::{Duration, Instant};

use super::rate::{Admission, Rate};
use super::{ALL, Excess, Limit, Limits, Refused};

fn limits(limit: Limit, value: u64) -> Limits {
    let mut limits = Limits::default();
    limits.set(limit, value);
    limits
}

#[test]
fn no_limit_is_set_by_default_and_nothing_is_watched() {
    let limits = Limits::default();
    assert!(ALL.iter().all(|limit| limits.get(*limit).is_none()));
    assert!(ALL.iter().all(|limit| limits.excess(*limit, u64::MAX).is_none()));
    assert!(!limits.are_watched());
}

#[test]
fn only_what_needs_measuring_is_watched() {
    let watched = ALL.iter().filter(|limit| limits(**limit, 64 << 20).are_watched());
    let watched: Vec<_> = watched.map(|limit| limit.name()).collect();
    assert_eq!(watched, ["memory_hard", "cpu_time", "child_processes"]);
}

#[test]
fn more_than_the_limit_is_an_excess_and_the_limit_itself_is_not() {
    let limits = limits(Limit::ChildProcesses, 3);
    assert_eq!(limits.excess(Limit::ChildProcesses, 3), None);
    let excess = Excess { limit: Limit::ChildProcesses, used: 4, allowed: 3 };
    assert_eq!(limits.excess(Limit::ChildProcesses, 4), Some(excess));
    assert_eq!(excess.to_string(), "had 4 processes running, and child_processes is 3");
}

#[test]
fn a_node_overrules_single_limits_and_zero_lifts_one() {
    let mut all = limits(Limit::MemoryHard, 100 << 20);
    all.set(Limit::CpuTime, 1_000);
    all.set(Limit::LogRate, 4_096);
    let own = all.with(&[(Limit::CpuTime, 2_500), (Limit::LogRate, 0)]);
    assert_eq!(own.get(Limit::MemoryHard), Some(100 << 20));
    assert_eq!(own.get(Limit::CpuTime), Some(2_500));
    assert_eq!(own.get(Limit::LogRate), None);
}

#[test]
fn texts_have_units() {
    let text = |limit, used, allowed| Excess { limit, used, allowed }.to_string();
    assert_eq!(
        text(Limit::MemoryHard, 153 << 19, 64 << 20),
        "ran out of memory: its worker had 76.5 MiB resident, and memory_hard is 64 MiB"
    );
    assert_eq!(
        text(Limit::CpuTime, 1_200, 1_000),
        "used 1.2s of CPU time without an output, and cpu_time is 1s"
    );
    assert_eq!(
        text(Limit::OutputSize, 1_025, 1_024),
        "gave an output of 1.1 KiB, and output_size is 1 KiB"
    );
}

#[test]
fn the_limit_of_memory_explains_only_its_own_exceptions() {
    let memory = limits(Limit::Memory, 64 << 20);
    let refused = Some(Refused { allowed: 64 << 20 });
    assert_eq!(Refused::explaining(&memory, "MemoryError"), refused);
    assert_eq!(Refused::explaining(&memory, "numpy._core._exceptions._ArrayMemoryError"), refused);
    assert_eq!(Refused::explaining(&memory, "ValueError"), None);
    assert_eq!(Refused::explaining(&Limits::default(), "MemoryError"), None);
}

#[test]
fn a_rate_drops_the_rest_of_each_second_and_says_so_once() {
    let now = Instant::now();
    let at = |ms| now + Duration::from_millis(ms);
    let mut rate = Rate::default();
    assert_eq!(rate.admit(at(0), 60, 100), Admission::Shown);
    assert_eq!(rate.admit(at(10), 40, 100), Admission::Shown);
    assert_eq!(rate.admit(at(20), 1, 100), Admission::FirstDropped);
    assert_eq!(rate.admit(at(999), 1, 100), Admission::Dropped);
    assert_eq!(rate.admit(at(1_000), 50, 100), Admission::Shown);
    assert_eq!(rate.admit(at(1_001), 51, 100), Admission::Dropped);
    assert_eq!(rate.admit(at(1_002), 1, 100), Admission::Dropped);
    assert_eq!(rate.admit(at(9_000), 100, 100), Admission::Shown);
}
