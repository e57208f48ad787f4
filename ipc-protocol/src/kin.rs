//! The processes of a worker, found also when they have left its process group, its session and its
//! process tree. Each worker has a mark: a number in a resource limit that Linux passes on at every
//! fork and exec, and has not enforced since version 2.4 (locks on files). A program that clears its
//! environment, calls `setsid` or forks twice still has it.

use std::collections::BTreeSet;
use std::io;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getppid};
use rustix::process::{PidfdFlags, Rlimit, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// Bits 62 and 63 tell a mark from a limit: `unlimited` has both of them, and smaller limits neither.
const TAG: u64 = 0b01 << 62;
/// Set while a worker ends in good order; `reaper.py` in the orchestrator has it too.
const ENDING: u64 = 1 << 61;
/// Bits of the number of a worker; `reaper.py` has it too.
const NUMBER_BITS: u32 = 24;
/// Bits of a family.
const FAMILY_BITS: u32 = 61 - NUMBER_BITS;
/// Scans for processes that are started while others are killed, before this is given up.
const MOST_SCANS: usize = 1_000;

/// The mark of one worker, and of what its nodes start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// The mark of the worker with this number in a family: the workers of one runtime. A family is a
    /// random number. Bits that a mark has no room for are dropped.
    #[must_use]
    pub fn new(family: u64, number: u64) -> Self {
        let low = |value: u64, bits: u32| value & ((1 << bits) - 1);
        Self(TAG | low(family, FAMILY_BITS) << NUMBER_BITS | low(number, NUMBER_BITS))
    }

    /// The mark as the resource limit has it.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }

    /// What the marks of a family have in common.
    #[must_use]
    pub fn family(self) -> u64 {
        self.0 >> NUMBER_BITS
    }

    /// Puts the mark on the calling process. Async-signal-safe.
    ///
    /// # Errors
    /// When the hard limit is lower, or cannot be read.
    pub fn put_on(self) -> nix::Result<()> {
        let (_, hard) = getrlimit(Resource::RLIMIT_LOCKS)?;
        setrlimit(Resource::RLIMIT_LOCKS, self.0, hard)
    }

    /// Puts the mark on a child of the calling process that has not been reaped.
    ///
    /// # Errors
    /// As [`Mark::put_on`].
    pub fn put_on_child(self, child: Pid) -> io::Result<()> {
        let child = rustix::process::Pid::from_raw(child.as_raw());
        let Rlimit { maximum, .. } = rustix::process::getrlimit(rustix::process::Resource::Locks);
        let limit = Rlimit { current: Some(self.0), maximum };
        rustix::process::prlimit(child, rustix::process::Resource::Locks, limit)?;
        Ok(())
    }

    /// Takes any mark off the calling process. Async-signal-safe.
    ///
    /// # Errors
    /// When the limit cannot be read.
    pub fn take_off() -> nix::Result<()> {
        let (_, hard) = getrlimit(Resource::RLIMIT_LOCKS)?;
        setrlimit(Resource::RLIMIT_LOCKS, hard, hard)
    }

    fn own() -> Option<Self> {
        Self::parse(getrlimit(Resource::RLIMIT_LOCKS).ok()?.0)
    }

    fn of(process: Pid) -> Option<Self> {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        let (new, old) = (std::ptr::null(), &raw mut limit);
        // SAFETY: the kernel writes to `limit` alone, and changes nothing, as the new limit is null.
        let read = unsafe { libc::prlimit(process.as_raw(), libc::RLIMIT_LOCKS, new, old) };
        Errno::result(read).ok()?;
        Self::parse(limit.rlim_cur)
    }

    fn parse(limit: u64) -> Option<Self> {
        (limit & (0b11 << 62) == TAG).then_some(Self(limit & !ENDING))
    }
}

/// Notes in the mark of this process that it ends in good order.
pub fn note_ending() {
    if let Some(mark) = Mark::own() {
        let _stays_as_it_is = Mark(mark.0 | ENDING).put_on();
    }
}

/// What tells the processes of a worker from all others.
#[derive(Debug, Clone)]
pub struct Kin {
    mark: Option<Mark>,
    group: Option<Pid>,
    /// The worker, and processes of its interpreter that are its parents, such as a shell.
    worker: Vec<Pid>,
}

impl Kin {
    /// Those with this mark.
    #[must_use]
    pub fn of(mark: Mark) -> Self {
        Self { mark: Some(mark), group: None, worker: Vec::new() }
    }

    /// Those with the mark of a worker, and those in the worker's process group if `has_group` is set: then
    /// `worker` must lead a group, and must not have been reaped.
    #[must_use]
    pub fn new(worker: Pid, mark: Mark, has_group: bool) -> Self {
        Self { mark: Some(mark), group: has_group.then_some(worker), worker: vec![worker] }
    }

    /// Those of this process, a worker.
    #[must_use]
    pub fn own() -> Self {
        let (own, mark) = (getpid(), Mark::own());
        let is_of_interpreter = |pid: &Pid| mark.is_some() && Mark::of(*pid) == mark;
        let parents = std::iter::successors(Some(getppid()), |pid| parent(*pid));
        let mut worker: Vec<Pid> = parents.take_while(is_of_interpreter).collect();
        worker.push(own);
        Self { mark, group: (getpgrp() == own).then_some(own), worker }
    }

    /// All of them but the worker. Zombies are among them.
    ///
    /// # Errors
    /// When `/proc` cannot be listed, for instance because no descriptor is left.
    pub fn others(&self) -> io::Result<Vec<Pid>> {
        let listed = std::fs::read_dir("/proc")?;
        let pids = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        Ok(pids.map(Pid::from_raw).filter(|pid| self.includes(*pid)).collect())
    }

    fn includes(&self, pid: Pid) -> bool {
        let has_mark = || self.mark.is_some_and(|mark| Mark::of(pid) == Some(mark));
        let is_in_group = || self.group.is_some() && getpgid(Some(pid)).ok() == self.group;
        !self.worker.contains(&pid) && (has_mark() || is_in_group())
    }

    /// Kills all but the worker and those that are spared, also what they start meanwhile.
    ///
    /// # Errors
    /// As [`Kin::others`].
    pub fn kill(&self, is_spared: impl Fn(Pid) -> bool) -> io::Result<()> {
        // From its SIGKILL on a process starts no other. So when a scan finds only processes that were
        // killed before, there is no one left to do so.
        let mut killed = BTreeSet::new();
        for _ in 0..MOST_SCANS {
            let others = self.others()?.into_iter();
            let fresh: Vec<Pid> =
                others.filter(|pid| !killed.contains(&pid.as_raw()) && !is_spared(*pid)).collect();
            if fresh.is_empty() {
                break;
            }
            for pid in fresh {
                self.signal(pid, Signal::KILL);
                killed.insert(pid.as_raw());
            }
        }
        Ok(())
    }

    /// Sends a signal to one of the processes, unless it has ended. Another process that has got its
    /// number since gets none.
    pub fn signal(&self, pid: Pid, signal: Signal) {
        let Some(number) = rustix::process::Pid::from_raw(pid.as_raw()) else { return };
        match pidfd_open(number, PidfdFlags::empty()) {
            Ok(pidfd) => {
                if self.includes(pid) {
                    let _already_gone = pidfd_send_signal(&pidfd, signal);
                }
            }
            Err(rustix::io::Errno::SRCH) => {}
            // No descriptor is left.
            Err(_) => {
                let _already_gone = kill_process(number, signal);
            }
        }
    }
}

/// Whether a process exists and is more than a zombie.
#[must_use]
pub fn is_running(pid: Pid) -> bool {
    status(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

fn parent(pid: Pid) -> Option<Pid> {
    status(pid)?.1.parse().ok().map(Pid::from_raw)
}

/// State and parent of a process.
fn status(pid: Pid) -> Option<(String, String)> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // They follow the name, which is in parentheses and may contain any bytes.
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let behind = String::from_utf8_lossy(&stat[name_end + 1..]);
    let mut fields = behind.split_whitespace().map(str::to_owned);
    Some((fields.next()?, fields.next()?))
}

/// Whether the command line of a process is that of a resource tracker of `multiprocessing`. They end
/// by themselves, once they have removed what the others left in `/dev/shm`.
#[must_use]
pub fn is_resource_tracker(pid: Pid) -> bool {
    const PART: &[u8] = b"resource_tracker import main";
    let command = std::fs::read(format!("/proc/{pid}/cmdline"));
    command.is_ok_and(|words| words.windows(PART.len()).any(|part| part == PART))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command};

    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use nix::unistd::Pid;

    use super::{ENDING, Kin, Mark, is_running};

    fn pid(child: &Child) -> Pid {
        Pid::from_raw(i32::try_from(child.id()).unwrap())
    }

    #[test]
    fn a_limit_is_no_mark() {
        for limit in [0, 1, 1 << 40, u64::MAX, u64::MAX >> 1 & !(0b11 << 62)] {
            assert_eq!(Mark::parse(limit), None, "{limit:x}");
        }
    }

    #[test]
    fn a_mark_has_a_family_and_a_number() {
        let mark = Mark::new(u64::MAX, u64::MAX);
        assert_eq!(Mark::parse(mark.value()), Some(mark));
        assert_eq!(Mark::parse(mark.value() | ENDING), Some(mark));
        let (first, second, other) = (Mark::new(7, 1), Mark::new(7, 2), Mark::new(8, 1));
        assert_eq!(first.family(), second.family());
        assert_ne!(first, second);
        assert_ne!(first.family(), other.family());
    }

    // spec: CARD-08
    #[test]
    fn what_is_started_has_the_mark_and_is_killed_by_it() {
        let before = getrlimit(Resource::RLIMIT_LOCKS).unwrap();
        let family = u64::from(std::process::id());
        let (mark, other) = (Mark::new(family, 1), Mark::new(family, 2));
        mark.put_on().unwrap();
        let mut sleep = Command::new("sleep");
        let mut marked = sleep.arg("1000").env_clear().process_group(0).spawn().unwrap();
        other.put_on().unwrap();
        let mut another = Command::new("sleep").arg("1000").spawn().unwrap();
        Mark::take_off().unwrap();
        assert_eq!(Mark::own(), None);
        setrlimit(Resource::RLIMIT_LOCKS, before.0, before.1).unwrap();

        let kin = Kin::of(mark);
        assert_eq!(kin.others().unwrap(), [pid(&marked)]);
        kin.kill(|spared| spared == pid(&marked)).unwrap();
        assert!(is_running(pid(&marked)));
        kin.kill(|_| false).unwrap();
        assert_eq!(marked.wait().unwrap().signal(), Some(9));
        assert!(!is_running(pid(&marked)));
        assert!(is_running(pid(&another)));
        another.kill().unwrap();
        another.wait().unwrap();
    }
}
