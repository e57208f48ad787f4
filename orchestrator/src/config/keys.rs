//! The table of all settings: name, type, range, effect, and access to the value in [`Config`].
//! `read` and `reference` work from this table alone.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::pools::{Pooled, pool_keys};
use super::{Config, PoolBounds};

/// One setting.
pub(super) struct Key {
    /// Name of the section.
    pub(super) section: &'static str,
    /// Name inside the section.
    pub(super) name: &'static str,
    /// Type, range and destination.
    pub(super) kind: Kind,
    /// Effect of the setting in one or two sentences, for the reference.
    pub(super) doc: &'static str,
}

/// Type and range of a setting, with the functions that read it from a [`Config`] and set it.
pub(super) enum Kind {
    /// A whole number.
    Count { range: RangeInclusive<u64>, get: fn(&Config) -> u64, set: fn(&mut Config, u64) },
    /// A whole number or `"auto"`.
    AutoCount {
        range: RangeInclusive<u64>,
        get: fn(&Config) -> Option<u64>,
        set: fn(&mut Config, Option<u64>),
    },
    /// A duration with its unit.
    Duration {
        range: RangeInclusive<Duration>,
        /// Meaning of 0, if 0 is allowed below the range.
        zero: Option<&'static str>,
        get: fn(&Config) -> Duration,
        set: fn(&mut Config, Duration),
    },
    /// A size with its unit.
    Size {
        range: RangeInclusive<u64>,
        /// Meaning of 0, if 0 is allowed below the range.
        zero: Option<&'static str>,
        get: fn(&Config) -> u64,
        set: fn(&mut Config, u64),
    },
    /// true or false.
    Flag { get: fn(&Config) -> bool, set: fn(&mut Config, bool) },
    /// A path; an empty text means `None`.
    Path { get: fn(&Config) -> Option<&Path>, set: fn(&mut Config, Option<PathBuf>) },
    /// Any of the `known` words, separated by commas.
    Names {
        known: &'static [&'static str],
        get: fn(&Config) -> String,
        set: fn(&mut Config, String),
    },
    /// A list of texts, or one text in which commas separate them.
    List { get: fn(&Config) -> Vec<String>, set: fn(&mut Config, Vec<String>) },
    /// One of the words in `names`.
    Choice {
        names: &'static [&'static str],
        get: fn(&Config) -> &'static str,
        set: fn(&mut Config, &str),
    },
    /// A table whose values are texts.
    Texts {
        get: fn(&Config) -> BTreeMap<String, String>,
        set: fn(&mut Config, BTreeMap<String, String>),
    },
}

/// Name and description of each section, in the order of the reference.
pub(super) const SECTIONS: [(&str, &str); 8] = [
    ("workers", "Life of the worker processes."),
    ("python", "The interpreter of the worker processes."),
    ("rustpython", "Workers that run RustPython, a pool of their own beside that of CPython."),
    ("fallback", "What happens to a node that RustPython cannot run."),
    ("calls", "Calls of nodes."),
    ("shared_memory", "Memory that arrays travel in between the orchestrator and its workers."),
    ("limits", "What a worker may use and send. See [Limits of workers](#limits-of-workers)."),
    ("output", "What nodes print."),
];

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// All settings, section by section.
pub(super) fn keys() -> Vec<Key> {
    let pool = pool_keys::<CPythonPool>();
    let mut keys = vec![pool.min, pool.max, pool.max_sessions, pool.recycle_after_calls];
    keys.extend([pool.recycle_above_memory, pool.recycle_above_growth, pool.idle_timeout]);
    keys.push(super::zygotes::zygote_key());
    keys.extend(worker_times());
    keys.extend(graces());
    keys.push(super::interpreters::runtime_key());
    keys.push(super::interpreters::start_variables_key());
    keys.push(super::interpreters::modules_key());
    keys.push(super::zygotes::preload_key());
    keys.extend(python());
    keys.extend(super::interpreters::keys());
    keys.extend(calls());
    keys.extend(super::failing::keys());
    keys.extend(super::shared_memory::keys());
    keys.extend(super::limits::keys());
    keys.extend(limits());
    keys
}

struct CPythonPool;

impl Pooled for CPythonPool {
    const SECTION: &'static str = "workers";
    const MIN: &'static str = "Workers that are kept even when idle.";
    const MAX: &'static str = "Most workers at one time. A session that needs more than are free waits; a graph \
         wider than this shares workers between branches. \"auto\" is the number of \
         processors, but at least 4, so that small machines can still run branches side \
         by side.";

    fn of(config: &Config) -> &PoolBounds {
        &config.workers.pool
    }

    fn of_mut(config: &mut Config) -> &mut PoolBounds {
        &mut config.workers.pool
    }
}

fn worker_times() -> [Key; 4] {
    [
        Key {
            section: "workers",
            name: "start_timeout",
            kind: Kind::Duration {
                range: MILLISECOND..=DAY,
                zero: None,
                get: |c| c.workers.start_timeout,
                set: |c, t| c.workers.start_timeout = t,
            },
            doc: "A worker that has not completed its handshake in this time is killed and \
                  the session fails.",
        },
        Key {
            section: "workers",
            name: "open_timeout",
            kind: Kind::Duration {
                range: MILLISECOND..=365 * DAY,
                zero: None,
                get: |c| c.workers.open_timeout,
                set: |c, t| c.workers.open_timeout = t,
            },
            doc: "Time for making the nodes of a session in one worker, from when the session gets \
                  the worker: imports, constructors and `initialize`. A worker that takes longer is \
                  killed and the session fails.",
        },
        Key {
            section: "workers",
            name: "close_timeout",
            kind: Kind::Duration {
                range: MILLISECOND..=DAY,
                zero: None,
                get: |c| c.workers.close_timeout,
                set: |c, t| c.workers.close_timeout = t,
            },
            doc: "Time for the `cleanup` of a session's nodes in one worker, and for a call that was \
                  interrupted to end; a worker that takes longer is killed.",
        },
        Key {
            section: "workers",
            name: "acquire_timeout",
            kind: Kind::Duration {
                range: MILLISECOND..=365 * DAY,
                zero: None,
                get: |c| c.workers.acquire_timeout,
                set: |c, t| c.workers.acquire_timeout = t,
            },
            doc: "A session that has not got its workers in this time fails.",
        },
    ]
}

/// Times of a worker that missed a deadline.
fn graces() -> [Key; 2] {
    [
        Key {
            section: "workers",
            name: "stack_grace",
            kind: Kind::Duration {
                range: MILLISECOND..=DAY,
                zero: Some("no stacks"),
                get: |c| c.workers.stack_grace,
                set: |c, t| c.workers.stack_grace = t,
            },
            doc: "How long the error about a missed deadline may wait for the Python stacks of the worker.",
        },
        Key {
            section: "workers",
            name: "stop_grace",
            kind: Kind::Duration {
                range: MILLISECOND..=DAY,
                zero: Some("at once"),
                get: |c| c.workers.stop_grace,
                set: |c, t| c.workers.stop_grace = t,
            },
            doc: "A worker that missed a deadline is replaced at once, and its node code is interrupted. \
                  If it has not ended after this time, it gets SIGTERM, and after as long again, but \
                  250 ms at most, SIGKILL.",
        },
    ]
}

fn python() -> [Key; 5] {
    [
        Key {
            section: "python",
            name: "executable",
            kind: Kind::Path {
                get: |c| c.python.executable.as_deref(),
                set: |c, p| c.python.executable = p,
            },
            doc: "The interpreter of the workers. Empty is the interpreter of the calling program; \
                  for the command line, python3 of the active virtual environment, else on PATH.",
        },
        Key {
            section: "python",
            name: "environment",
            kind: Kind::Texts {
                get: |c| c.python.environment.clone(),
                set: |c, t| c.python.environment = t,
            },
            doc: "Environment variables added to those that workers inherit from the caller.",
        },
        Key {
            section: "python",
            name: "threads",
            kind: Kind::Count {
                range: 1..=1024,
                get: |c| u64::from(c.python.threads),
                set: |c, n| c.python.threads = as_u32(n),
            },
            doc: "Threads of BLAS and OpenMP in each worker, unless the environment sets them \
                  (OMP_NUM_THREADS and the like). Workers run side by side, so 1 is usually \
                  fastest.",
        },
        Key {
            section: "python",
            name: "allow_pickle",
            kind: Kind::Flag {
                get: |c| c.python.allow_pickle,
                set: |c, f| c.python.allow_pickle = f,
            },
            doc: "Whether objects that are neither plain data nor arrays may pass between the \
                  caller and the workers as pickles. false makes them an error.",
        },
        Key {
            section: "python",
            name: "write_back_max",
            kind: Kind::Size {
                range: 1..=1 << 40,
                zero: Some("nothing is written back"),
                get: |c| c.python.write_back_max_bytes,
                set: |c, n| c.python.write_back_max_bytes = n,
            },
            doc: "When a session closes, attributes of nodes that changed are written back to the \
                  caller's objects, unless the pickle of one is larger than this. 0 writes nothing \
                  back.",
        },
    ]
}

fn calls() -> [Key; 4] {
    [
        Key {
            section: "calls",
            name: "timeout",
            kind: Kind::Duration {
                range: MILLISECOND..=365 * DAY,
                zero: Some("no limit"),
                get: |c| c.calls.timeout.unwrap_or_default(),
                set: |c, t| c.calls.timeout = (!t.is_zero()).then_some(t),
            },
            doc: "Longest time a node may take between two outputs, for nodes without \
                  `timeout_ms`. A worker that exceeds it is killed and replaced. 0 is no limit.",
        },
        Key {
            section: "calls",
            name: "window",
            kind: Kind::Count {
                range: 1..=65_536,
                get: |c| u64::from(c.calls.window),
                set: |c, n| c.calls.window = as_u32(n),
            },
            doc: "Outputs of one stage in flight; a generator that is further ahead of its \
                  consumer is suspended.",
        },
        Key {
            section: "calls",
            name: "queue",
            kind: Kind::Count {
                range: 1..=65_536,
                get: |c| as_u64(c.calls.queue),
                set: |c, n| c.calls.queue = as_usize(n),
            },
            doc: "Items that may wait on one edge of the graph before its producer is held back.",
        },
        Key {
            section: "calls",
            name: "spin",
            kind: Kind::Duration {
                range: Duration::from_micros(1)..=MILLISECOND,
                zero: Some("off"),
                get: |c| c.calls.spin,
                set: |c, t| c.calls.spin = t,
            },
            doc: "The longest that caller or worker wait awake for each other. They do where the wait is \
                  likely to be shorter than it costs here to sleep and be woken; each tells the other \
                  how long it took. Arrays in shared memory add the time it takes to read them, at most \
                  2 ms. A wait yields the processor to threads that want it, and sleeps where more calls \
                  wait than there are processors. 0 is off.",
        },
    ]
}

fn limits() -> [Key; 3] {
    [
        Key {
            section: "limits",
            name: "max_frame",
            kind: Kind::Size {
                range: 1 << 16..=1 << 40,
                zero: None,
                get: |c| c.limits.max_frame_bytes,
                set: |c, n| c.limits.max_frame_bytes = n,
            },
            doc: "Largest message between the orchestrator and a worker, arrays included.",
        },
        Key {
            section: "limits",
            name: "max_depth",
            kind: Kind::Count {
                range: 8..=1000,
                get: |c| u64::from(c.limits.max_depth),
                set: |c, n| c.limits.max_depth = as_u32(n),
            },
            doc: "Deepest nesting of containers in a value.",
        },
        Key {
            section: "output",
            name: "forward_output",
            kind: Kind::Flag {
                get: |c| c.output.forward_output,
                set: |c, f| c.output.forward_output = f,
            },
            doc: "Whether what nodes print is shown, line by line with the node's name in front: in \
                  Python on the stream that they print to, by the command line on stderr. Log records \
                  are shown in any case, as `logging` is set up.",
        },
    ]
}

pub(super) fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

// The ranges in the table allow only counts far below these upper bounds.
pub(super) fn as_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

pub(super) fn as_u32(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
