//! Kernel state of this process as one byte string, read at the end of each session. If two strings
//! are equal, none of that state has changed; otherwise `remotemedia._guest.hygiene` compares its
//! rows one by one.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{stderr, stdin, stdout};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::SigSet;
use nix::sys::stat::fstat;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, dup, getpgrp, getresgid, getresuid};
use rustix::process::getpriority_process;

/// All resource limits that Linux enforces, and the one that holds the mark of a worker.
const LIMITS: [Resource; 15] = [
    Resource::RLIMIT_CPU,
    Resource::RLIMIT_FSIZE,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_STACK,
    Resource::RLIMIT_CORE,
    Resource::RLIMIT_NPROC,
    Resource::RLIMIT_NOFILE,
    Resource::RLIMIT_MEMLOCK,
    Resource::RLIMIT_AS,
    Resource::RLIMIT_SIGPENDING,
    Resource::RLIMIT_MSGQUEUE,
    Resource::RLIMIT_NICE,
    Resource::RLIMIT_RTPRIO,
    Resource::RLIMIT_RTTIME,
    Resource::RLIMIT_LOCKS,
];

/// The rows of `hygiene` that have `in_glance` set: resource limits, process group, user and group, nice
/// value, CPU affinity, blocked signals, descriptors 0 to 2, and whether the lowest free descriptor
/// is below seven eighths of the limit. Empty if there are child processes, because Python has to
/// look at each of them.
#[must_use]
pub fn glance() -> Vec<u8> {
    if has_children() {
        return Vec::new();
    }
    let mut seen = Vec::with_capacity(512);
    for limit in LIMITS {
        note(&mut seen, getrlimit(limit).map(|(soft, hard)| [soft, hard]));
    }
    note(&mut seen, Ok([u64::from(getpgrp().as_raw().unsigned_abs())]));
    let id = |id: u32| u64::from(id);
    note(
        &mut seen,
        getresuid().map(|user| [user.real, user.effective, user.saved].map(|u| id(u.as_raw()))),
    );
    note(
        &mut seen,
        getresgid().map(|group| [group.real, group.effective, group.saved].map(|g| id(g.as_raw()))),
    );
    let nice = getpriority_process(None).map(|nice| [i64::from(nice).cast_unsigned()]);
    note(&mut seen, nice.map_err(|error| nix::Error::from_raw(error.raw_os_error())));
    note(
        &mut seen,
        sched_getaffinity(Pid::from_raw(0)).map(|processors| [processors_hash(&processors)]),
    );
    note(&mut seen, SigSet::thread_get_mask().map(|blocked| [hash(&blocked)]));
    for stream in [stdin().as_fd(), stdout().as_fd(), stderr().as_fd()] {
        note(&mut seen, fstat(stream).map(|file| [file.st_dev, file.st_ino]));
        note(
            &mut seen,
            fcntl(stream, FcntlArg::F_GETFL).map(|flags| [u64::from(flags.unsigned_abs())]),
        );
    }
    note(&mut seen, has_free_descriptors(stdin().as_fd()).map(|has| [has.into()]));
    seen
}

/// Whether there are child processes, including ended ones that have not been reaped.
fn has_children() -> bool {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, look).is_ok()
}

fn has_free_descriptors(any: BorrowedFd<'_>) -> nix::Result<bool> {
    let lowest_free = dup(any)?.as_raw_fd();
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(u64::from(lowest_free.unsigned_abs()) < limit.saturating_sub(limit / 8))
}

fn processors_hash(processors: &CpuSet) -> u64 {
    let allowed = (0..CpuSet::count()).filter(|&number| processors.is_set(number) == Ok(true));
    hash(&allowed.collect::<Vec<usize>>())
}

/// The types of the kernel's sets do not show their bytes, only their hashes.
fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn note<const N: usize>(seen: &mut Vec<u8>, state: nix::Result<[u64; N]>) {
    match state {
        Ok(numbers) => seen.extend(numbers.iter().flat_map(|number| number.to_le_bytes())),
        // An error, such as that of a closed descriptor, is part of the state too.
        Err(error) => seen.extend((error as i32).to_le_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    use super::glance;

    #[test]
    fn a_change_shows_and_goes_when_it_is_undone() {
        let before = glance();
        assert!(!before.is_empty());
        assert_eq!(glance(), before);
        let (soft, hard) = getrlimit(Resource::RLIMIT_CORE).unwrap();
        let other = if soft == 0 { hard.min(1) } else { soft - 1 };
        setrlimit(Resource::RLIMIT_CORE, other, hard).unwrap();
        assert_eq!(glance() == before, other == soft);
        setrlimit(Resource::RLIMIT_CORE, soft, hard).unwrap();
        assert_eq!(glance(), before);
    }
}
