//! `[limits]` and `[output]`: what workers may use, send and print. Ranges are those of
//! `crate::limits`, which a node's own limits have too.

use std::time::Duration;

use crate::config::declare::settings;
use crate::config::kinds::{Choice, Flag, OrZero, Time, count, or_zero, size, time};
use crate::limits::{Limit, Limits};

settings! {
    /// Limits on what a worker may use and send.
    pub struct LimitsConfig {
        /// Private memory of a worker in a session: what is mapped for it alone and can be written, touched
        /// or not (RLIMIT_DATA). A node that asks for more gets a MemoryError. Arrays in shared memory do
        /// not count; `max` in `[shared_memory]` bounds them.
        memory: u64 = 0, or_zero(size(Limit::Memory.range()), "no limit"), Now;
        /// Resident memory of a worker, shared memory that it has touched included. A worker that has more
        /// while node code runs is killed.
        memory_hard: u64 = 0, or_zero(size(Limit::MemoryHard.range()), "no limit"), Now;
        /// CPU time that a call may use, in all threads of its worker, until its next output or its end. A
        /// worker that uses more is killed.
        cpu_time: Duration = Duration::ZERO, cpu_time(), Now;
        /// Descriptors that a worker may have open in a session (RLIMIT_NOFILE); it needs about 20 itself. A
        /// node that opens more gets an OSError.
        open_files: u64 = 0, or_zero(count(Limit::OpenFiles.range()), "no limit"), Now;
        /// Size of one output: its arrays, bytes, texts and pickles. A worker that sends a larger one is
        /// killed.
        output_size: u64 = 0, or_zero(size(Limit::OutputSize.range()), "no limit"), Now;
        /// Processes that run because nodes of a worker have started them, or these in turn. A worker with
        /// more of them is killed, with its process group.
        child_processes: u64 = 0,
            or_zero(count(Limit::ChildProcesses.range()), "no limit"), Now;
        /// Bytes that the nodes of a worker may print and log in a second. What exceeds is dropped and
        /// counted in the metrics, with one warning.
        log_rate: u64 = 0, or_zero(size(Limit::LogRate.range()), "no limit"), Now;
        /// Largest message between the orchestrator and a worker, arrays included.
        max_frame: u64 = ipc_protocol::Limits::default().max_frame_bytes,
            size(1 << 16..=1 << 40), Workers;
        /// Deepest nesting of containers in a value.
        max_depth: u32 = ipc_protocol::Limits::default().max_depth, count(8..=1000), Workers;
    }
}

fn cpu_time() -> OrZero<Time> {
    let range = Limit::CpuTime.range();
    let [least, most] = [range.start(), range.end()].map(|ms| Duration::from_millis(*ms));
    or_zero(time(least..=most), "no limit")
}

/// The levels of Python's `logging`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// 10.
    Debug,
    /// 20.
    Info,
    /// 30.
    Warning,
    /// 40.
    Error,
}

impl LogLevel {
    const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warning, Self::Error];

    /// Its number in Python's `logging`.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Debug => 10,
            Self::Info => 20,
            Self::Warning => 30,
            Self::Error => 40,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

const LOG_LEVEL: Choice<LogLevel> = Choice {
    words: &["debug", "info", "warning", "error"],
    parse: |word| LogLevel::ALL.into_iter().find(|level| level.word() == word),
    word: |level| level.word(),
};

settings! {
    /// What happens to text that nodes print and log.
    pub struct OutputConfig {
        /// Whether what nodes print is shown, line by line with the node's name in front: in Python on the
        /// stream that they print to, by the command line on stderr. Log records are shown in any case, as
        /// `logging` is set up.
        forward_output: bool = true, Flag, Sessions;
        /// Log records of nodes below this level are dropped, whatever the caller's `logging` shows.
        log_level: LogLevel = LogLevel::Debug, LOG_LEVEL, Now;
    }
}

impl LimitsConfig {
    /// What each worker may use.
    #[must_use]
    pub fn worker(&self) -> Limits {
        let mut limits = Limits::default();
        let cpu_time = u64::try_from(self.cpu_time.as_millis()).unwrap_or(u64::MAX);
        for (limit, value) in [
            (Limit::Memory, self.memory),
            (Limit::MemoryHard, self.memory_hard),
            (Limit::CpuTime, cpu_time),
            (Limit::OpenFiles, self.open_files),
            (Limit::OutputSize, self.output_size),
            (Limit::ChildProcesses, self.child_processes),
            (Limit::LogRate, self.log_rate),
        ] {
            limits.set(limit, value);
        }
        limits
    }

    /// The limits in the form that the codec checks.
    #[must_use]
    pub fn to_protocol(&self) -> ipc_protocol::Limits {
        ipc_protocol::Limits {
            max_frame_bytes: self.max_frame,
            max_depth: self.max_depth,
            ..ipc_protocol::Limits::default()
        }
    }
}
