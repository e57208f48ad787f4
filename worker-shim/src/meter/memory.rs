//! Resident memory of this process and its high-water mark, from `/proc/self` over descriptors
//! that stay open.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::unistd::{SysconfVar, sysconf};

/// Writing this to `clear_refs` sets the high-water mark back to the resident memory.
const RESET_MARK: &[u8] = b"5";
/// Longer than `/proc/self/status` is up to the line that is wanted.
const STATUS_BYTES: usize = 4096;
/// Longer than seven numbers.
const STATM_BYTES: usize = 256;
/// Name of the line in it.
pub(super) const HIGH_WATER_MARK: &[u8] = b"VmHWM:";

/// The process's memory as the kernel counts it.
#[derive(Debug)]
pub(super) struct ProcessMemory {
    clear_refs: Option<File>,
    status: File,
    /// Tells the resident memory alone, for a sixth of the time.
    statm: File,
    page_bytes: u64,
    resident_before: u64,
}

impl ProcessMemory {
    /// Opens the kernel's files. Where the mark cannot be reset (a kernel without that option) the
    /// resident memory before and after stands in for it.
    pub(super) fn open() -> io::Result<Self> {
        let clear_refs = File::options().write(true).open("/proc/self/clear_refs").ok();
        let (status, statm) = (File::open("/proc/self/status")?, File::open("/proc/self/statm")?);
        let page_bytes = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|bytes| bytes.try_into().ok());
        let page_bytes = page_bytes.ok_or(io::ErrorKind::Unsupported)?;
        let mut memory = Self { clear_refs, status, statm, page_bytes, resident_before: 0 };
        memory.reset_mark();
        Ok(memory)
    }

    /// Sets the mark back to the memory that is resident now.
    pub(super) fn reset_mark(&mut self) {
        let reset = |file: &File| file.write_at(RESET_MARK, 0).is_ok();
        if self.clear_refs.as_ref().is_some_and(|file| !reset(file)) {
            self.clear_refs = None;
        }
        self.resident_before = self.resident().unwrap_or(self.resident_before);
    }

    /// The highest resident memory since the mark was reset, and how far that is above the
    /// resident memory then, both in bytes.
    pub(super) fn mark(&self) -> (u64, u64) {
        let is_reset = self.clear_refs.is_some();
        let highest = if is_reset { self.high_water_mark() } else { self.resident() };
        let highest = highest.unwrap_or(0).max(self.resident_before);
        (highest, highest - self.resident_before)
    }

    fn high_water_mark(&self) -> Option<u64> {
        let mut buffer = [0; STATUS_BYTES];
        let length = self.status.read_at(&mut buffer, 0).ok()?;
        bytes_in_line(&buffer[..length], HIGH_WATER_MARK)
    }

    fn resident(&self) -> Option<u64> {
        let mut buffer = [0; STATM_BYTES];
        let length = self.statm.read_at(&mut buffer, 0).ok()?;
        resident_in(&buffer[..length], self.page_bytes)
    }
}

/// The second number of `/proc/self/statm`, which is in pages, in bytes.
pub(super) fn resident_in(statm: &[u8], page_bytes: u64) -> Option<u64> {
    let pages = std::str::from_utf8(statm).ok()?.split_ascii_whitespace().nth(1)?;
    Some(pages.parse::<u64>().ok()? * page_bytes)
}

/// The size in this line of `/proc/self/status`, in bytes. The process's name in there may be any
/// bytes.
pub(super) fn bytes_in_line(status: &[u8], name: &[u8]) -> Option<u64> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(name))?;
    let kibibytes = std::str::from_utf8(line).ok()?.trim().strip_suffix("kB")?;
    Some(kibibytes.trim().parse::<u64>().ok()? * 1024)
}
