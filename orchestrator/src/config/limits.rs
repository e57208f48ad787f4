//! The keys that limit what a worker may use. Names and ranges are those of `crate::limits`.

use std::time::Duration;

use super::Config;
use super::keys::{DAY, Key, Kind, MILLISECOND};
use crate::limits::{Limit, Unit};

/// A limit as a type, because the `fn` pointers in [`Kind`] cannot capture variables.
trait Limited {
    const LIMIT: Limit;

    fn get(config: &Config) -> u64 {
        config.limits.worker.get(Self::LIMIT).unwrap_or(0)
    }

    fn set(config: &mut Config, value: u64) {
        config.limits.worker.set(Self::LIMIT, value);
    }

    /// Its key; `doc` is its text in the reference.
    fn key(doc: &'static str) -> Key {
        let range = Self::LIMIT.range();
        let kind = match Self::LIMIT.unit() {
            Unit::Bytes => {
                Kind::Size { range, zero: Some("no limit"), get: Self::get, set: Self::set }
            }
            Unit::Time => Kind::Duration {
                range: MILLISECOND..=365 * DAY,
                zero: Some("no limit"),
                get: |c| Duration::from_millis(Self::get(c)),
                set: |c, time| {
                    Self::set(c, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
                },
            },
            Unit::Count => Kind::Count { range: 0..=*range.end(), get: Self::get, set: Self::set },
        };
        Key { section: "limits", name: Self::LIMIT.name(), kind, doc }
    }
}

struct Memory;
struct MemoryHard;
struct CpuTime;
struct OpenFiles;
struct OutputSize;
struct ChildProcesses;
struct LogRate;

impl Limited for Memory {
    const LIMIT: Limit = Limit::Memory;
}

impl Limited for MemoryHard {
    const LIMIT: Limit = Limit::MemoryHard;
}

impl Limited for CpuTime {
    const LIMIT: Limit = Limit::CpuTime;
}

impl Limited for OpenFiles {
    const LIMIT: Limit = Limit::OpenFiles;
}

impl Limited for OutputSize {
    const LIMIT: Limit = Limit::OutputSize;
}

impl Limited for ChildProcesses {
    const LIMIT: Limit = Limit::ChildProcesses;
}

impl Limited for LogRate {
    const LIMIT: Limit = Limit::LogRate;
}

pub(super) fn keys() -> [Key; 7] {
    [
        Memory::key(
            "Private memory of a worker in a session: what is mapped for it alone and can be written, \
             touched or not (RLIMIT_DATA). A node that asks for more gets a MemoryError. Arrays in \
             shared memory do not count; `[shared_memory] max` bounds them.",
        ),
        MemoryHard::key(
            "Resident memory of a worker, shared memory that it has touched included. A worker that \
             has more while node code runs is killed.",
        ),
        CpuTime::key(
            "CPU time that a call may use, in all threads of its worker, until its next output or its \
             end. A worker that uses more is killed.",
        ),
        OpenFiles::key(
            "Descriptors that a worker may have open in a session (RLIMIT_NOFILE); it needs about 20 \
             itself. A node that opens more gets an OSError. 0 is no limit.",
        ),
        OutputSize::key(
            "Size of one output: its arrays, bytes, texts and pickles. A worker that sends a larger \
             one is killed.",
        ),
        ChildProcesses::key(
            "Processes that run because nodes of a worker have started them, or these in turn. A worker \
             with more of them is killed, with its process group. 0 is no limit.",
        ),
        LogRate::key(
            "Bytes that the nodes of a worker may print and log in a second. What exceeds is dropped \
             and counted in the metrics, with one warning.",
        ),
    ]
}
