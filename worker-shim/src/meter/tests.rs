//! Tests of the meter with the kernel's counters of this process.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::memory::{HIGH_WATER_MARK, bytes_in_line, resident_in};
use super::{FIRST_STRETCHES, LONG_STRETCH, Meter, Operation};

const SPIKE_BYTES: usize = 48 << 20;

/// Makes tests run one at a time: they run in threads of one process, which has one high-water
/// mark.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Allocates, touches and frees memory, like a node that works on a copy.
fn spike() {
    let mut memory = vec![0_u8; SPIKE_BYTES];
    for page in memory.chunks_mut(4096) {
        page[0] = 1;
    }
    std::hint::black_box(&memory);
}

// spec: NRA-12
#[test]
fn a_spike_that_is_gone_at_the_end_of_the_call_counts() {
    let _alone = alone();
    let mut meter = Meter::new(None);
    meter.reset(2);
    meter.enter(0, Operation::Process);
    spike();
    meter.leave();
    meter.enter(1, Operation::Process);
    meter.leave();
    let usage = meter.take(0..2);
    let spike_bytes = SPIKE_BYTES as u64;
    assert!(usage[0].peak_delta_bytes >= spike_bytes - (4 << 20), "{usage:?}");
    assert!(usage[0].peak_memory_bytes > spike_bytes, "{usage:?}");
    assert!(usage[1].peak_delta_bytes < spike_bytes / 4, "the next node pays nothing: {usage:?}");
}

// spec: NRA-12
#[test]
fn nodes_of_a_chain_are_told_apart() {
    let _alone = alone();
    let mut meter = Meter::new(None);
    meter.reset(3);
    for _ in 0..2 {
        meter.call_next(0);
        meter.call_next(1);
        spike();
        meter.call_next(2);
        meter.leave();
    }
    let usage = meter.take(0..3);
    assert!(usage.iter().all(|usage| usage.calls == 2), "{usage:?}");
    let spike_bytes = SPIKE_BYTES as u64;
    let is_spike = |at: usize| usage[at].peak_delta_bytes >= spike_bytes - (4 << 20);
    assert_eq!([0, 1, 2].map(is_spike), [false, true, false], "{usage:?}");
    assert!(usage[1].busy_ns > usage[0].busy_ns.max(usage[2].busy_ns), "{usage:?}");
}

// spec: NRA-12
#[test]
fn a_long_stretch_is_measured_even_when_its_turn_has_not_come() {
    let _alone = alone();
    let mut meter = Meter::new(None);
    meter.reset(1);
    for _ in 0..FIRST_STRETCHES {
        meter.enter(0, Operation::Process);
        meter.leave();
    }
    meter.take(0..1);
    meter.enter(0, Operation::Process);
    spike();
    let started = Instant::now();
    while started.elapsed() <= LONG_STRETCH {
        std::hint::spin_loop();
    }
    meter.leave();
    let usage = meter.take(0..1);
    assert!(usage[0].peak_delta_bytes >= SPIKE_BYTES as u64 - (4 << 20), "{usage:?}");
}

// spec: NRA-11
#[test]
fn time_and_counts_belong_to_their_node_and_are_taken_once() {
    let _alone = alone();
    let mut meter = Meter::new(None);
    meter.reset(3);
    meter.enter(1, Operation::Process);
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2) {
        std::hint::spin_loop();
    }
    meter.leave();
    meter.count_call(1);
    meter.count_error(1);
    meter.count_marshal(2, Duration::from_micros(7));
    let usage = meter.take(1..3);
    assert!(usage[0].busy_ns >= 2_000_000);
    assert_eq!((usage[0].calls, usage[0].errors), (1, 1));
    assert_eq!((usage[1].busy_ns, usage[1].marshal_ns), (0, 7_000));
    assert_eq!(meter.take(1..3)[0], Default::default());
    assert!(meter.take(2..9).is_empty(), "a range outside the session has no accounts");
}

#[test]
fn the_mark_is_found_behind_any_process_name() {
    let status = b"Name:\tab\xff\nVmPeak:\t  9 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n";
    assert_eq!(bytes_in_line(status, HIGH_WATER_MARK), Some(1234 * 1024));
    assert_eq!(resident_in(b"10 3 2 1 0 7 0\n", 4096), Some(3 * 4096));
}
