//! The current memory of a worker. Peaks are not measured here: workers read them from the kernel.

pub mod group;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Resident memory of a process in bytes; 0 when the process is gone or the size is unknown.
#[must_use]
pub fn resident_bytes(pid: u32) -> u64 {
    let pid = Pid::from_u32(pid);
    let Ok(mut system) = System::new() else { return 0 };
    let only_memory = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, only_memory);
    system.process(pid).map_or(0, sysinfo::Process::memory)
}
