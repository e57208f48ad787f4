//! The keys that limit what a worker may use. Names and ranges are those of `crate::limits`.

use std::time::Duration;

use super::Config;
use super::keys::{DAY, Key, Kind, MILLISECOND};
use crate::limits::{ALL, Limit, Unit};

/// The limit with this number as a type, because the `fn` pointers in [`Kind`] cannot capture
/// variables.
struct Of<const NUMBER: usize>;

impl<const NUMBER: usize> Of<NUMBER> {
    const LIMIT: Limit = ALL[NUMBER];

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

pub(super) fn keys() -> [Key; 7] {
    [
        Of::<{ Limit::Memory as usize }>::key(
            "Private memory of a worker in a session: what is mapped for it alone and can be written, \
             touched or not (RLIMIT_DATA). A node that asks for more gets a MemoryError. Arrays in \
             shared memory do not count; `[shared_memory] max` bounds them.",
        ),
        Of::<{ Limit::MemoryHard as usize }>::key(
            "Resident memory of a worker, shared memory that it has touched included. A worker that \
             has more while node code runs is killed.",
        ),
        Of::<{ Limit::CpuTime as usize }>::key(
            "CPU time that a call may use, in all threads of its worker, until its next output or its \
             end. A worker that uses more is killed.",
        ),
        Of::<{ Limit::OpenFiles as usize }>::key(
            "Descriptors that a worker may have open in a session (RLIMIT_NOFILE); it needs about 20 \
             itself. A node that opens more gets an OSError. 0 is no limit.",
        ),
        Of::<{ Limit::OutputSize as usize }>::key(
            "Size of one output: its arrays, bytes, texts and pickles. A worker that sends a larger \
             one is killed.",
        ),
        Of::<{ Limit::ChildProcesses as usize }>::key(
            "Processes that run because nodes of a worker have started them, or these in turn. A worker \
             with more of them is killed, with its process group. 0 is no limit.",
        ),
        Of::<{ Limit::LogRate as usize }>::key(
            "Bytes that the nodes of a worker may print and log in a second. What exceeds is dropped \
             and counted in the metrics, with one warning.",
        ),
    ]
}
