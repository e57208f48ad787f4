//! What a worker may use at most: which limits there are, their values for one worker, and what was
//! exceeded. Pure; `worker/usage` measures and `worker/process/ceiling` sets what the kernel enforces.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

pub mod rate;
#[cfg(test)]
mod tests;

/// Longest CPU time that can be set, in milliseconds: a year.
const LONGEST_CPU_MS: u64 = 365 * 24 * 3600 * 1000;
/// Most of anything that is counted.
const MOST: u64 = 1 << 20;
const MIB: u64 = 1 << 20;

/// One of the limits of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Private memory in bytes. The kernel refuses more, and the node gets a `MemoryError`.
    Memory,
    /// Resident memory in bytes. A worker that has more is killed.
    MemoryHard,
    /// CPU time of a call until its next output or its end, in milliseconds.
    CpuTime,
    /// Open descriptors. The kernel refuses more, and the node gets an `OSError`.
    OpenFiles,
    /// Bytes of one output.
    OutputSize,
    /// Processes that nodes have started, and that these have started.
    ChildProcesses,
    /// Bytes that nodes print and log in a second; what exceeds is dropped.
    LogRate,
}

/// The values of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Time,
    /// A number of things.
    Count,
}

/// Number of limits.
const COUNT: usize = 7;

/// All limits, in the order of the reference.
pub const ALL: [Limit; COUNT] = [
    Limit::Memory,
    Limit::MemoryHard,
    Limit::CpuTime,
    Limit::OpenFiles,
    Limit::OutputSize,
    Limit::ChildProcesses,
    Limit::LogRate,
];

impl Limit {
    /// Its name in `[limits]` of the configuration, and in the `limits` of a node.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::MemoryHard => "memory_hard",
            Self::CpuTime => "cpu_time",
            Self::OpenFiles => "open_files",
            Self::OutputSize => "output_size",
            Self::ChildProcesses => "child_processes",
            Self::LogRate => "log_rate",
        }
    }

    /// What its values count.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::Memory | Self::MemoryHard | Self::OutputSize | Self::LogRate => Unit::Bytes,
            Self::CpuTime => Unit::Time,
            Self::OpenFiles | Self::ChildProcesses => Unit::Count,
        }
    }

    /// The values that can be set. 0, which is no limit, can be set too.
    #[must_use]
    pub fn range(self) -> RangeInclusive<u64> {
        match self {
            // A worker that has imported numpy has about this much.
            Self::Memory | Self::MemoryHard => 32 * MIB..=1 << 50,
            Self::CpuTime => 1..=LONGEST_CPU_MS,
            Self::OpenFiles | Self::ChildProcesses => 1..=MOST,
            Self::OutputSize => 1..=1 << 40,
            Self::LogRate => 1024..=1 << 40,
        }
    }

    /// A value with its unit.
    fn show(self, value: u64) -> String {
        match self.unit() {
            Unit::Bytes => show_bytes(value),
            Unit::Time => format!("{:?}", Duration::from_millis(value)),
            Unit::Count => value.to_string(),
        }
    }
}

/// The limits of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits([u64; COUNT]);

impl Limits {
    /// The value of a limit; `None`: it is not set.
    #[must_use]
    pub fn get(&self, limit: Limit) -> Option<u64> {
        Some(self.0[limit as usize]).filter(|value| *value > 0)
    }

    /// Sets a limit; 0: no limit.
    pub fn set(&mut self, limit: Limit, value: u64) {
        self.0[limit as usize] = value;
    }

    /// These limits, but for those that a node sets for its own worker.
    #[must_use]
    pub fn with(mut self, own: &[(Limit, u64)]) -> Self {
        own.iter().for_each(|(limit, value)| self.set(*limit, *value));
        self
    }

    /// Whether the worker has to be measured while node code runs.
    #[must_use]
    pub fn are_watched(&self) -> bool {
        let watched = [Limit::MemoryHard, Limit::CpuTime, Limit::ChildProcesses];
        watched.iter().any(|limit| self.get(*limit).is_some())
    }

    /// Whether `used` is more than the limit allows.
    #[must_use]
    pub fn excess(&self, limit: Limit, used: u64) -> Option<Excess> {
        let allowed = self.get(limit).filter(|allowed| *allowed < used)?;
        Some(Excess { limit, used, allowed })
    }
}

/// A limit that a worker has exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// The limit.
    pub limit: Limit,
    /// What was measured.
    pub used: u64,
    /// The value of the limit.
    pub allowed: u64,
}

/// What was exceeded, as a clause about the node or its worker.
impl fmt::Display for Excess {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.limit.show(self.used);
        match self.limit {
            Limit::Memory | Limit::MemoryHard => {
                write!(out, "ran out of memory: its worker had {used} resident")
            }
            Limit::CpuTime => write!(out, "used {used} of CPU time without an output"),
            Limit::OpenFiles => write!(out, "had {used} files open"),
            Limit::OutputSize => write!(out, "gave an output of {used}"),
            Limit::ChildProcesses => write!(out, "had {used} processes running"),
            Limit::LogRate => write!(out, "printed {used} in a second"),
        }?;
        write!(out, ", and {} is {}", self.limit.name(), self.limit.show(self.allowed))
    }
}

/// Private memory that the kernel refused, for errors of a node that this limit explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The value of [`Limit::Memory`].
    pub allowed: u64,
}

impl Refused {
    /// What explains an exception of a node, by its type.
    #[must_use]
    pub fn explaining(limits: &Limits, remote_type: &str) -> Option<Self> {
        // numpy raises a type of its own.
        let bare = remote_type.rsplit('.').next().unwrap_or(remote_type);
        let is_memory = ["MemoryError", "_ArrayMemoryError"].contains(&bare);
        limits.get(Limit::Memory).filter(|_| is_memory).map(|allowed| Self { allowed })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, allowed) = (Limit::Memory.name(), show_bytes(self.allowed));
        write!(out, "Its worker may have {allowed} of private memory: ")?;
        write!(out, "raise {name} in [limits] or in `limits` of the node")
    }
}

/// A size for people, with at most one decimal.
pub(crate) fn show_bytes(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let Some((unit, factor)) = UNITS.iter().find(|(_, factor)| bytes >= *factor) else {
        return format!("{bytes} B");
    };
    let tenths = (u128::from(bytes) * 10).div_ceil(u128::from(*factor));
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        rest => format!("{}.{rest} {unit}", tenths / 10),
    }
}
