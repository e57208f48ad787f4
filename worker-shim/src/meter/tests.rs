//! Tests of the meter with the kernel's counters of this process.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipc_protocol::memory::{Arena, ArenaOptions, SegmentKind};

use super::memory::{HIGH_WATER_MARK, Peak, Resident, bytes_in_line, resident_in};
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

#[test]
fn memory_of_what_is_not_reported_is_not_read() {
    let _alone = alone();
    let mut meter = Meter::new(None);
    for operation in [Operation::Other, Operation::Initialize, Operation::Cleanup] {
        meter.reset(1);
        meter.enter(0, operation);
        meter.leave();
        let usage = meter.take(0..1);
        // After a long stretch the mark is read in any case.
        let is_long = u128::from(usage[0].busy_ns) > LONG_STRETCH.as_nanos();
        assert!(usage[0].peak_memory_bytes == 0 || is_long, "{operation:?}: {usage:?}");
    }
    meter.enter(0, Operation::Process);
    meter.leave();
    assert!(meter.take(0..1)[0].peak_memory_bytes > 0);
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
    let resident = Resident { all: 3 * 4096, shared: 2 * 4096 };
    assert_eq!(resident_in(b"10 3 2 1 0 7 0\n", 4096), Some(resident));
}

// spec: CARD-06
#[test]
fn private_and_shared_memory_are_told_apart() {
    let resident = |all, shared| Resident { all, shared };
    let parts = |before, now, mark| {
        let peak = Peak::between(before, now, mark);
        [peak.highest, peak.delta, peak.private_delta, peak.shared_delta]
    };
    let before = resident(100, 40);
    assert_eq!(parts(before, resident(100, 40), 300), [300, 200, 200, 0], "private, and gone");
    assert_eq!(parts(before, resident(300, 240), 300), [300, 200, 0, 200], "shared, and kept");
    assert_eq!(parts(before, resident(200, 140), 500), [500, 400, 300, 100], "both");
    assert_eq!(parts(before, resident(90, 10), 100), [100, 0, 30, 0], "private instead of shared");
    assert_eq!(parts(before, before, 0), [100, 0, 0, 0], "a kernel without a mark");
}

// spec: CARD-06
#[test]
fn shared_memory_that_is_freed_during_a_call_is_not_private() {
    let _alone = alone();
    let data = vec![1; SPIKE_BYTES];
    let arena = Arena::new(ArenaOptions {
        kind: SegmentKind::Memfd,
        ring_bytes: 1 << 20,
        ring_block_max_bytes: 1 << 20,
        max_bytes: usize::MAX,
        idle_max_bytes: 0,
    });
    let mut meter = Meter::new(None);
    meter.reset(1);
    meter.enter(0, Operation::Process);
    let mut block = arena.allocate(SPIKE_BYTES).unwrap();
    assert!(block.write(&data));
    meter.before_free();
    drop(block);
    meter.after_free();
    meter.leave();
    let usage = meter.take(0..1);
    let memory = usage[0].memory;
    let spike_bytes = SPIKE_BYTES as u64;
    assert!(usage[0].peak_delta_bytes >= spike_bytes - (4 << 20), "{usage:?}");
    assert!(memory.delta_shared_bytes >= spike_bytes - (4 << 20), "{usage:?}");
    assert!(memory.delta_private_bytes < spike_bytes / 4, "{usage:?}");
}
