//! Resident memory of this process and its high-water mark, read from files of `/proc/self` that
//! stay open.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::unistd::{SysconfVar, sysconf};

/// Writing this to `/proc/self/clear_refs` sets the high-water mark to the current resident memory.
const RESET_MARK: &[u8] = b"5";
/// Bytes of `/proc/self/status` that are read: enough to contain the line `VmHWM`.
const STATUS_BYTES: usize = 4096;
/// Bytes that hold the seven decimal numbers of `/proc/self/statm` with blanks between.
const STATM_BYTES: usize = 256;
/// Beginning of the line of `/proc/self/status` with the high-water mark.
pub(super) const HIGH_WATER_MARK: &[u8] = b"VmHWM:";

/// The resident memory of this process as the kernel counts it.
#[derive(Debug)]
pub(super) struct ProcessMemory {
    clear_refs: Option<File>,
    status: File,
    /// Has the resident memory only; reading it takes a sixth of the time of `status`.
    statm: File,
    page_bytes: u64,
    before: Resident,
}

/// Resident memory at one moment, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Resident {
    pub(super) all: u64,
    /// The part in segments and files that are mapped.
    pub(super) shared: u64,
}

/// The memory of a stretch, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peak {
    /// Most resident memory.
    pub(super) highest: u64,
    /// What it was more than before the stretch.
    pub(super) delta: u64,
    /// Private and shared memory, each more than before. The kernel has a mark for both together
    /// only: what was private at the mark is what is not shared now.
    pub(super) private_delta: u64,
    pub(super) shared_delta: u64,
}

impl ProcessMemory {
    /// Opens the files of `/proc/self`. On a kernel that cannot reset the mark, the resident memory
    /// before and after a stretch is used instead.
    pub(super) fn open() -> io::Result<Self> {
        let clear_refs = File::options().write(true).open("/proc/self/clear_refs").ok();
        let (status, statm) = (File::open("/proc/self/status")?, File::open("/proc/self/statm")?);
        let page_bytes = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|bytes| bytes.try_into().ok());
        let page_bytes = page_bytes.ok_or(io::ErrorKind::Unsupported)?;
        let before = Resident::default();
        let mut memory = Self { clear_refs, status, statm, page_bytes, before };
        memory.begin();
        Ok(memory)
    }

    /// Begins a stretch: peaks count from the current resident memory.
    pub(super) fn begin(&mut self) {
        self.reset_mark();
        self.before = self.resident().unwrap_or(self.before);
    }

    /// Sets the kernel's mark to the current resident memory.
    pub(super) fn reset_mark(&mut self) {
        let reset = |file: &File| file.write_at(RESET_MARK, 0).is_ok();
        if self.clear_refs.as_ref().is_some_and(|file| !reset(file)) {
            self.clear_refs = None;
        }
    }

    /// The memory since the mark was reset last, beside that at the beginning of the stretch.
    pub(super) fn peak(&self) -> Peak {
        let now = self.resident().unwrap_or(self.before);
        let mark = if self.clear_refs.is_some() { self.high_water_mark() } else { None };
        Peak::between(self.before, now, mark.unwrap_or(0))
    }

    fn high_water_mark(&self) -> Option<u64> {
        let mut buffer = [0; STATUS_BYTES];
        let length = self.status.read_at(&mut buffer, 0).ok()?;
        bytes_in_line(&buffer[..length], HIGH_WATER_MARK)
    }

    fn resident(&self) -> Option<Resident> {
        let mut buffer = [0; STATM_BYTES];
        let length = self.statm.read_at(&mut buffer, 0).ok()?;
        resident_in(&buffer[..length], self.page_bytes)
    }
}

impl Peak {
    /// The peak between two moments, if `mark` is the kernel's mark at the second; 0 without one.
    pub(super) fn between(before: Resident, now: Resident, mark: u64) -> Self {
        let highest = mark.max(before.all).max(now.all);
        let private = highest.saturating_sub(now.shared);
        Self {
            highest,
            delta: highest - before.all,
            private_delta: private.saturating_sub(before.all.saturating_sub(before.shared)),
            shared_delta: now.shared.saturating_sub(before.shared),
        }
    }
}

/// The second and the third number of `/proc/self/statm`, converted from pages to bytes.
pub(super) fn resident_in(statm: &[u8], page_bytes: u64) -> Option<Resident> {
    let mut pages = std::str::from_utf8(statm).ok()?.split_ascii_whitespace().skip(1);
    let mut next = || Some(pages.next()?.parse::<u64>().ok()? * page_bytes);
    Some(Resident { all: next()?, shared: next()? })
}

/// The size, in bytes, in the line of `/proc/self/status` that begins with `name`. The text is not
/// decoded as a whole: the process's name in it may contain any bytes.
pub(super) fn bytes_in_line(status: &[u8], name: &[u8]) -> Option<u64> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(name))?;
    let kibibytes = std::str::from_utf8(line).ok()?.trim().strip_suffix("kB")?;
    Some(kibibytes.trim().parse::<u64>().ok()? * 1024)
}
