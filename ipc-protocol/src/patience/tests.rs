//! Tests of the rule in virtual time.

use super::*;

const BOUND: Duration = Duration::from_millis(1);

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// One end, with a clock that the test moves.
struct Rig {
    end: Patience,
    now: Instant,
    wake_up: Duration,
}

impl Rig {
    fn new(wake_up: Duration) -> Self {
        Self { end: Patience::new(End::Caller, BOUND), now: Instant::now(), wake_up }
    }

    /// Makes a call, `pause` after the last one, on which the other side works for the time `works`
    /// and reports it. Returns whether the wait was awake when it ended.
    fn call(&mut self, pause: Duration, works: Duration) -> bool {
        self.call_with(pause, works, works.into(), 0)
    }

    fn call_with(
        &mut self,
        pause: Duration,
        works: Duration,
        says: Report,
        shared_bytes: u64,
    ) -> bool {
        self.now += pause;
        self.end.ask(self.now, shared_bytes);
        let awake = self.end.awake(self.now);
        let is_awake = awake > works;
        self.now += works;
        if !awake.is_zero() && !is_awake {
            assert_eq!(self.end.awake(self.now), Duration::ZERO);
        }
        if !is_awake {
            self.now += self.wake_up;
        }
        self.end.answered(self.now, says);
        is_awake
    }

    /// Makes calls until the first measurements are done.
    fn settle(&mut self, works: Duration) {
        for _ in 0..20 {
            self.call(micros(5), works);
        }
    }
}

#[test]
fn a_short_wait_is_awake_where_wake_ups_are_slow_and_where_they_are_quick() {
    // spec: DSG-11
    for wake_up in [micros(10), micros(90)] {
        let mut rig = Rig::new(wake_up);
        rig.settle(micros(8));
        assert!((0..500).all(|_| rig.call(micros(5), micros(8))), "{wake_up:?}");
    }
}

#[test]
fn what_sleeping_costs_here_decides() {
    let awake = |wake_up| {
        let mut rig = Rig::new(wake_up);
        rig.settle(micros(70));
        rig.call(micros(5), micros(70))
    };
    assert!(awake(micros(90)));
    assert!(!awake(micros(20)));
}

#[test]
fn it_is_measured_again_when_it_drifts() {
    let mut rig = Rig::new(micros(90));
    rig.settle(micros(40));
    assert!(rig.call(micros(5), micros(40)));
    rig.wake_up = micros(10);
    let slept = (0..5000).filter(|_| !rig.call(micros(5), micros(40))).count();
    assert!(slept > 1000, "{slept}");
    rig.wake_up = micros(90);
    rig.settle(micros(40));
    assert!(rig.call(micros(5), micros(40)));
}

#[test]
fn the_first_wait_and_those_after_a_pause_sleep() {
    let mut rig = Rig::new(micros(50));
    assert!(!rig.call(micros(5), micros(8)));
    rig.settle(micros(8));
    assert!(rig.call(micros(5), micros(8)));
    assert!(!rig.call(Duration::from_millis(20), micros(8)), "the other side sleeps too");
    assert!(rig.call(micros(5), micros(8)));
}

#[test]
fn a_long_call_sleeps_from_the_second_on_and_a_short_one_brings_it_back() {
    let mut rig = Rig::new(micros(50));
    rig.settle(micros(8));
    assert!(!rig.call(micros(5), Duration::from_millis(30)), "nobody knew");
    assert!(!rig.call(micros(5), Duration::from_millis(30)));
    assert!(!rig.call(micros(5), micros(8)));
    assert!(rig.call(micros(5), micros(8)));
}

#[test]
fn arrays_are_waited_for_as_long_as_they_take_to_read() {
    let mut rig = Rig::new(micros(50));
    rig.settle(micros(8));
    let ten_megabytes =
        |rig: &mut Rig, works| rig.call_with(micros(5), works, works.into(), 10 << 20);
    for _ in 0..10 {
        ten_megabytes(&mut rig, micros(900));
    }
    assert!(ten_megabytes(&mut rig, micros(900)));
    assert!(!rig.call(micros(5), micros(900)), "without them it is too long");
    assert!(!ten_megabytes(&mut rig, Duration::from_millis(4)));
    assert!(!ten_megabytes(&mut rig, Duration::from_millis(4)));
}

/// The other side reports one microsecond of work, but takes 30 ms each time.
#[test]
fn one_that_lies_is_waited_for_awake_ever_more_rarely() {
    let mut rig = Rig::new(micros(50));
    rig.settle(micros(8));
    let before = rig.end.given_up();
    let lie = micros(1).into();
    let mut lied = |calls: u32| {
        (0..calls).for_each(|_| {
            rig.call_with(micros(5), Duration::from_millis(30), lie, 0);
        });
        rig.end.given_up() - before
    };
    assert_eq!(lied(2), 2, "twice in a row");
    // Pauses of 1, 2, 4, 8, 16, 32 and 64 waits, each followed by one wait awake without an answer.
    assert_eq!(lied(127 + 6), 2 + 6);
    assert_eq!(lied(65 * 10), 2 + 6 + 10);
}

#[test]
fn a_report_is_worth_the_time_that_went_by() {
    let mut rig = Rig::new(micros(50));
    rig.settle(micros(8));
    for _ in 0..10 {
        assert!(rig.call_with(micros(5), micros(8), Duration::from_secs(3600).into(), 0));
    }
}

#[test]
fn without_a_report_it_sleeps() {
    let mut rig = Rig::new(micros(50));
    rig.settle(micros(8));
    rig.call_with(micros(5), micros(8), Report::ABSENT, 0);
    assert!(!rig.call_with(micros(5), micros(8), Report::ABSENT, 0));
}

#[test]
fn one_that_others_take_the_processor_from_sleeps_for_longer_each_time() {
    let mut rig = Rig::new(micros(50));
    rig.settle(micros(8));
    let mut slept = Vec::new();
    for _ in 0..8 {
        while !rig.call(micros(5), micros(8)) {}
        rig.now += micros(5);
        rig.end.ask(rig.now, 0);
        rig.end.yielded(micros(100));
        assert!(!rig.end.awake(rig.now).is_zero(), "the other side may have needed that");
        rig.end.yielded(Duration::from_millis(3));
        assert!(rig.end.awake(rig.now).is_zero());
        rig.now += Duration::from_millis(3);
        rig.end.answered(rig.now, micros(8).into());
        slept.push((0..).take_while(|_| !rig.call(micros(5), micros(8))).count());
    }
    assert!(slept.is_sorted(), "{slept:?}");
    assert_eq!((slept[0], slept[7]), (64, 1024));
}

#[test]
fn zero_is_off() {
    let mut rig = Rig::new(micros(50));
    rig.end.set_bound(Duration::ZERO);
    assert!((0..100).all(|_| !rig.call_with(micros(1), micros(1), micros(1).into(), 10 << 20)));
}

#[test]
fn a_report_travels_in_whole_microseconds() {
    assert_eq!(Report::from(Duration::ZERO).took(), Some(micros(1)));
    assert_eq!(Report::from(Duration::from_nanos(2900)).took(), Some(micros(2)));
    assert_eq!(Report::from(Duration::MAX).took(), Some(micros(u32::MAX.into())));
    assert_eq!(Report::ABSENT.took(), None);
}

/// Opens a session, which takes so long. Returns whether the end was awake when the answer came.
fn opens(rig: &mut Rig, takes: Duration) -> bool {
    rig.end.ask_turn(rig.now, Turn::Open);
    let is_awake = rig.end.awake(rig.now) > takes;
    rig.now += takes;
    if !is_awake {
        rig.end.awake(rig.now);
        rig.now += rig.wake_up;
    }
    rig.end.noticed(rig.now);
    is_awake
}

#[test]
fn a_session_that_opened_quickly_is_waited_for_awake_the_next_time() {
    // spec: DSG-10
    for wake_up in [micros(10), micros(90)] {
        let mut rig = Rig::new(wake_up);
        assert!(!opens(&mut rig, micros(800)), "nothing is known");
        assert!((0..100).all(|_| opens(&mut rig, micros(800))), "{wake_up:?}");
        assert!(!opens(&mut rig, 3 * BOUND), "it is longer than expected");
        assert!(!opens(&mut rig, micros(300)), "the last one was long");
        assert!(opens(&mut rig, micros(300)));
    }
}

#[test]
fn a_session_that_opened_while_others_had_the_processor_pauses_such_waits_and_no_calls() {
    // spec: DSG-10
    let mut rig = Rig::new(micros(90));
    rig.settle(micros(8));
    opens(&mut rig, micros(300));
    rig.end.ask_turn(rig.now, Turn::Open);
    rig.end.yielded(2 * BOUND);
    assert_eq!(rig.end.awake(rig.now), Duration::ZERO);
    rig.end.noticed(rig.now);
    let awake: Vec<bool> = (0..6).map(|_| opens(&mut rig, micros(300))).collect();
    assert_eq!(awake, [false, false, false, false, true, true]);
    assert!(rig.call(micros(5), micros(8)));
}

#[test]
fn without_a_bound_no_session_is_waited_for_awake() {
    let mut rig = Rig::new(micros(90));
    rig.end.set_bound(Duration::ZERO);
    assert!((0..10).all(|_| !opens(&mut rig, micros(1))));
}

#[test]
fn a_worker_waits_awake_for_the_first_call_if_that_of_the_last_session_came_at_once() {
    // spec: DSG-10
    let mut end = Patience::new(End::Worker, BOUND);
    let mut now = Instant::now();
    let mut first = |takes: Duration| {
        end.opened(now);
        end.ask(now, 0);
        let is_awake = end.awake(now) > takes;
        now += takes;
        end.answered(now, takes.into());
        end.forget();
        is_awake
    };
    assert!(!first(micros(30)));
    assert!(first(micros(30)));
    assert!(first(micros(30)));
}
