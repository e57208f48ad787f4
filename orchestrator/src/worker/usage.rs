//! What the kernel knows about a worker: what it uses, for the limits that are measured, and whether
//! it ends.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use super::memory;
use crate::limits::{Excess, Limit, Limits};

/// The first limit that a worker exceeds. `cpu_before` is the CPU time that it had used when the
/// current call began. A limit of which the kernel says nothing is not exceeded.
#[must_use]
pub fn excess(pid: u32, limits: &Limits, cpu_before: Duration) -> Option<Excess> {
    let is_set = |limit| limits.get(limit).is_some();
    if is_set(Limit::MemoryHard)
        && let Some(excess) = limits.excess(Limit::MemoryHard, memory::resident_bytes(pid))
    {
        return Some(excess);
    }
    if is_set(Limit::CpuTime)
        && let Some(excess) = limits.excess(Limit::CpuTime, used_cpu_ms(pid, cpu_before))
    {
        return Some(excess);
    }
    let most = limits.get(Limit::ChildProcesses)?;
    limits.excess(Limit::ChildProcesses, descendants(pid, most))
}

/// CPU time of a process in all its threads; zero when it has ended.
#[must_use]
pub fn cpu_time(pid: u32) -> Duration {
    let read = || {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?);
        clock_gettime(clock_getcpuclockid(pid).ok()?).ok()
    };
    read().map_or(Duration::ZERO, Duration::from)
}

/// Whether a process has begun to end, which closes its connections before its parent hears of it.
#[must_use]
pub fn is_ending(pid: u32) -> bool {
    const EXITING: u32 = 0x4; // PF_EXITING in <linux/sched.h>
    // The name, in parentheses, may hold spaces; the seventh field after it has the flags: proc_pid_stat(5).
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let flags = fields.split_ascii_whitespace().nth(6).and_then(|flags| flags.parse::<u32>().ok());
    flags.is_some_and(|flags| flags & EXITING != 0)
}

fn used_cpu_ms(pid: u32, before: Duration) -> u64 {
    let used = cpu_time(pid).saturating_sub(before).as_millis();
    u64::try_from(used).unwrap_or(u64::MAX)
}

/// Number of processes below a process, those that have ended and are not reaped included. Counts no
/// further than one above `most`: there may be very many.
fn descendants(pid: u32, most: u64) -> u64 {
    let mut found = HashSet::new();
    let mut left = vec![pid];
    while let Some(pid) = left.pop() {
        for child in children(pid) {
            // A number may be used again while this looks around.
            if found.insert(child) {
                left.push(child);
            }
            if found.len() as u64 > most {
                return found.len() as u64;
            }
        }
    }
    found.len() as u64
}

/// The children of all threads of a process; empty when it has ended, and on kernels that do not list
/// children.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let listed = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let numbers = |text: String| {
        text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u32>>()
    };
    listed.flat_map(numbers).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Child, Command, Stdio, id};
    use std::time::Duration;

    use super::{cpu_time, descendants, excess, is_ending};
    use crate::limits::{Limit, Limits};

    /// A shell with two children, and a child of one of them; it ends with its standard input.
    fn family() -> Child {
        let script = "exec 3<&0; cat <&3 & sh -c 'cat <&3; true' & echo; wait";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        shell.spawn().unwrap()
    }

    fn limits(limit: Limit, value: u64) -> Limits {
        let mut limits = Limits::default();
        limits.set(limit, value);
        limits
    }

    #[test]
    fn children_of_children_count_and_the_count_stops_above_the_limit() {
        // spec: CARD-08
        let mut shell = family();
        // Its two children have been forked before it writes a line.
        shell.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        while descendants(shell.id(), 100) < 3 {
            std::thread::yield_now();
        }
        assert_eq!(descendants(shell.id(), 100), 3);
        assert_eq!(descendants(shell.id(), 1), 2);
        let (two, three) = (limits(Limit::ChildProcesses, 2), limits(Limit::ChildProcesses, 3));
        let found = excess(shell.id(), &two, Duration::ZERO).unwrap();
        assert_eq!((found.limit, found.used, found.allowed), (Limit::ChildProcesses, 3, 2));
        assert_eq!(excess(shell.id(), &three, Duration::ZERO), None);
        drop(shell.stdin.take());
        shell.wait().unwrap();
        assert_eq!(descendants(shell.id(), 100), 0);
    }

    #[test]
    fn memory_and_cpu_time_of_a_process_are_compared_with_its_limits() {
        // spec: CARD-06
        let is_over = |limit, value| excess(id(), &limits(limit, value), Duration::ZERO).is_some();
        assert!(is_over(Limit::MemoryHard, 1 << 10) && !is_over(Limit::MemoryHard, 1 << 50));
        let before = cpu_time(id());
        while cpu_time(id()) < before + Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        assert!(is_over(Limit::CpuTime, 1) && !is_over(Limit::CpuTime, 1 << 40));
        assert_eq!(excess(id(), &limits(Limit::CpuTime, 1_000), cpu_time(id())), None);
        assert_eq!(excess(id(), &Limits::default(), Duration::ZERO), None);
    }

    #[test]
    fn a_process_is_ending_from_its_exit_until_nothing_is_left_of_it() {
        // spec: IOP-25
        let mut program = Command::new("sh")
            .args(["-c", "read line"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        assert!(!is_ending(id()) && !is_ending(program.id()));
        drop(program.stdin.take());
        while !is_ending(program.id()) {
            std::thread::yield_now();
        }
        program.wait().expect("it was not reaped before");
        assert!(is_ending(program.id()));
    }

    #[test]
    fn a_process_that_has_ended_uses_nothing() {
        assert_eq!(cpu_time(u32::MAX), Duration::ZERO);
        assert_eq!(excess(u32::MAX, &limits(Limit::MemoryHard, 1), Duration::ZERO), None);
    }
}
