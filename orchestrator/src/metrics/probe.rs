//! Measures one call of a native node: its time, and the memory of this process during the call.
//!
//! The kernel counts memory for the whole process, so calls that run at the same time in other
//! threads are included. A worker hosts one session at a time and measures more exactly. Asking the
//! kernel costs more than a short call does, so an answer counts for `FRESH`: memory that calls take
//! and give back within that time may not be seen.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use ipc_protocol::from_worker::{MemoryParts, Moved, NodeUsage};
use nix::sys::resource::{UsageWho, getrusage};

const FRESH: Duration = Duration::from_millis(1);

/// A call that is being measured.
#[derive(Debug)]
pub struct NativeProbe {
    start: Instant,
    memory: MemoryReading,
}

impl NativeProbe {
    /// Starts to measure.
    #[must_use]
    pub fn start() -> Self {
        let start = Instant::now();
        Self { start, memory: MemoryReading::at(start) }
    }

    /// The cost of the call; `failed` is whether the node returned an error.
    #[must_use]
    pub fn finish(self, failed: bool) -> NodeUsage {
        let end = Instant::now();
        let busy = end.duration_since(self.start);
        let after = MemoryReading::at(end);
        // If the high-water mark rose, the call reached it. Otherwise the mark may be older than
        // the call, and only the resident memory before and after the call is known.
        let peak = if after.high_water_bytes > self.memory.high_water_bytes {
            after.high_water_bytes
        } else {
            self.memory.resident_bytes.max(after.resident_bytes)
        };
        NodeUsage {
            calls: 1,
            errors: u64::from(failed),
            busy_ns: u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX),
            marshal_ns: 0,
            peak_memory_bytes: peak,
            peak_delta_bytes: peak.saturating_sub(self.memory.resident_bytes),
            moved: Moved::default(),
            memory: MemoryParts::default(),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct MemoryReading {
    resident_bytes: u64,
    high_water_bytes: u64,
}

impl MemoryReading {
    /// The last reading of this thread, or a new one if that is no longer fresh.
    fn at(now: Instant) -> Self {
        thread_local! {
            static LAST: Cell<Option<(Instant, MemoryReading)>> = const { Cell::new(None) };
        }
        match LAST.get() {
            Some((then, reading)) if now.duration_since(then) < FRESH => reading,
            _ => {
                let reading =
                    Self { resident_bytes: resident_bytes(), high_water_bytes: high_water_bytes() };
                LAST.set(Some((now, reading)));
                reading
            }
        }
    }
}

/// Resident memory of this process in bytes; 0 if it cannot be read.
#[must_use]
pub fn resident_bytes() -> u64 {
    thread_local! {
        // Opening the file costs more than reading it. The open file shows the process that opened
        // it, so a forked child must open its own.
        static STATM: RefCell<Option<(u32, File)>> = const { RefCell::new(None) };
    }
    let pages = STATM.with_borrow_mut(|open| {
        let pid = std::process::id();
        if open.as_ref().is_none_or(|(owner, _)| *owner != pid) {
            *open = File::open("/proc/self/statm").ok().map(|file| (pid, file));
        }
        let (_, file) = open.as_ref()?;
        let mut text = [0; 128];
        let length = file.read_at(&mut text, 0).ok()?;
        let fields = std::str::from_utf8(text.get(..length)?).ok()?;
        fields.split(' ').nth(1)?.parse::<u64>().ok()
    });
    pages.unwrap_or(0).saturating_mul(*PAGE_BYTES)
}

/// Size of a memory page in bytes, from the auxiliary vector that the kernel passes to a program.
static PAGE_BYTES: LazyLock<u64> = LazyLock::new(|| {
    const WORD: usize = size_of::<usize>();
    const AT_PAGESZ: u64 = 6;
    const USUAL: u64 = 4096;
    let auxiliary = std::fs::read("/proc/self/auxv").unwrap_or_default();
    let word = |bytes: &[u8]| {
        let word: [u8; WORD] = bytes.try_into().ok()?;
        u64::try_from(usize::from_ne_bytes(word)).ok()
    };
    auxiliary
        .chunks_exact(2 * WORD)
        .map(|entry| entry.split_at(WORD))
        .find(|(key, _)| word(key) == Some(AT_PAGESZ))
        .and_then(|(_, value)| word(value))
        .unwrap_or(USUAL)
});

/// Highest resident memory that this process ever had, in bytes; 0 if it cannot be read.
#[must_use]
pub fn high_water_bytes() -> u64 {
    let kibibytes = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
    u64::try_from(kibibytes).unwrap_or(0).saturating_mul(1024)
}
