//! Native nodes under hostile input: any bit pattern, shape, rate and parameter, calls in any order.
//! Each gives a result or one typed error: no panic, no overflow, no hang, no growth.
//!
//! `HOSTILE_FRAMES=10000000 cargo test -p nodes --test hostile -- --nocapture` gives ten million
//! frames; `HOSTILE_SEED=7` runs the session of a seed again and tells its story. The outcome of each
//! kind of input at each node is in `table.rs`.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(clippy::print_stdout, reason = "the report, and the story of a seed")]

mod dice;
mod items;
mod parameters;
mod session;
mod sound;
mod table;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use session::Tally;

const FRAMES: u64 = 20_000;
/// How long one session may take before the watchdog names its seed. The longest take seconds.
const WATCHDOG: Duration = Duration::from_secs(120);
/// What may be resident at the end beyond what was after a tenth of the frames, in MiB. The allocator keeps
/// up to 150 MiB; a leak of 20 bytes an item shows in ten million.
const MOST_GROWTH_MIB: u64 = 192;
/// What may be resident at any moment beyond the start, in MiB, for each thread.
const MOST_AT_ONCE_MIB: u64 = 768;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

// spec: NRA-05 NRA-06 NRA-07
#[test]
fn every_node_gives_a_result_or_one_typed_error() {
    if let Some(seed) = variable("HOSTILE_SEED") {
        session::run(seed, true).unwrap();
        return;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let run = Run {
        frames: variable("HOSTILE_FRAMES").unwrap_or(FRAMES),
        next: AtomicU64::new(variable("HOSTILE_FIRST_SEED").unwrap_or(0)),
        given: AtomicU64::new(0),
        at_work: Mutex::new(vec![(0, Instant::now()); threads]),
        report: Mutex::default(),
    };
    let at_start = memory("VmRSS:");
    std::thread::scope(|scope| {
        let run = &run;
        let runners: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || run.sessions(thread))).collect();
        while !runners.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::park_timeout(Duration::from_millis(50));
            run.watch();
        }
    });
    let report = run.report.into_inner().unwrap();
    if let Some((seed, failure)) = report.failure {
        panic!("{failure}\nrun it again with HOSTILE_SEED={seed}");
    }
    let (after_a_tenth, at_end) = (report.resident.unwrap(), memory("VmRSS:"));
    let peak = memory("VmHWM:");
    report.print();
    println!(
        "resident: {at_start} MiB at the start, {after_a_tenth} after a tenth, {at_end} at the end, \
         {peak} at most"
    );
    assert_eq!(report.nodes.len(), nodes::registry::builtin().types().len(), "a node was left out");
    for (node, tally) in &report.nodes {
        assert!(tally.percent() >= 30.0, "{node}: {:.1} % results", tally.percent());
    }
    let growth = at_end.saturating_sub(after_a_tenth);
    assert!(growth <= MOST_GROWTH_MIB, "memory grew by {growth} MiB");
    let at_once = peak.saturating_sub(at_start) / threads as u64;
    assert!(at_once <= MOST_AT_ONCE_MIB, "a thread held {at_once} MiB at once");
}

/// All sessions of this run, shared by the threads.
struct Run {
    /// How many frames are to be given.
    frames: u64,
    /// The next seed.
    next: AtomicU64,
    given: AtomicU64,
    /// The seed of each thread's session, and when it began.
    at_work: Mutex<Vec<(u64, Instant)>>,
    report: Mutex<Report>,
}

#[derive(Default)]
struct Report {
    nodes: BTreeMap<&'static str, Tally>,
    slowest: (Duration, u64),
    failure: Option<(u64, String)>,
    /// Resident memory after a tenth of the frames, in MiB.
    resident: Option<u64>,
}

impl Run {
    /// Runs sessions until enough frames were given, or one has failed.
    fn sessions(&self, thread: usize) {
        while self.given.load(Ordering::Relaxed) < self.frames {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            let begun = Instant::now();
            self.at_work.lock().unwrap()[thread] = (seed, begun);
            let outcome = session::run(seed, false);
            let mut report = self.report.lock().unwrap();
            report.slowest = report.slowest.max((begun.elapsed(), seed));
            match outcome {
                Ok((node, tally)) => {
                    report.nodes.entry(node).or_default().add(tally);
                    let given = self.given.fetch_add(tally.frames, Ordering::Relaxed);
                    if given >= self.frames / 10 {
                        report.resident.get_or_insert_with(|| memory("VmRSS:"));
                    }
                }
                Err(failure) => {
                    report.failure.get_or_insert((seed, failure));
                    self.given.store(self.frames, Ordering::Relaxed);
                }
            }
        }
    }

    /// Ends the program when a session hangs: no thread can end another one.
    fn watch(&self) {
        for (seed, begun) in self.at_work.lock().unwrap().iter() {
            if begun.elapsed() > WATCHDOG {
                println!("the session of HOSTILE_SEED={seed} does not end");
                std::process::abort();
            }
        }
    }
}

impl Report {
    fn print(&self) {
        let mut sum = Tally::default();
        for (node, tally) in &self.nodes {
            sum.add(*tally);
            println!("{node:20} {:10} frames, {:5.1} % results", tally.frames, tally.percent());
        }
        println!("{:20} {:10} frames, {:5.1} % results", "all", sum.frames, sum.percent());
        let (time, seed) = self.slowest;
        println!("slowest session: {:.1} s (HOSTILE_SEED={seed})", time.as_secs_f64());
    }
}

/// A line of `/proc/self/status` in MiB.
fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
