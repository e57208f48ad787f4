//! Kernel state of this process as one byte string, read at the end of each session. If two strings
//! are equal, none of that state has changed; otherwise `remotemedia._guest.hygiene` compares its
//! rows one by one.

use std::ffi::{CString, NulError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{stderr, stdin, stdout};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::c_ulong;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SigSet, Signal};
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

/// What `prctl` tells about this process: its name in two numbers, the signal at its parent's death,
/// whether it is a subreaper, whether it may be dumped, keeps capabilities, may gain privileges, may
/// have huge pages, and the slack of its timers. -1 for what this system does not tell.
#[must_use]
pub fn attributes() -> [i64; 9] {
    let flag = |found: nix::Result<bool>| found.map_or(-1, i64::from);
    let [begin, end] = prctl::get_name().map_or([-1; 2], |name| packed(name.to_bytes()));
    [
        begin,
        end,
        prctl::get_pdeathsig()
            .map_or(-1, |signal| signal.map_or(0, |signal| i64::from(signal as i32))),
        flag(prctl::get_child_subreaper()),
        flag(prctl::get_dumpable()),
        flag(prctl::get_keepcaps()),
        flag(prctl::get_no_new_privs()),
        flag(prctl::get_thp_disable()),
        prctl::get_timerslack().map_or(-1, i64::from),
    ]
}

/// Sets what [`attributes`] has told. What cannot be set stays as it is.
pub fn put_back_attributes(before: [i64; 9]) {
    let [begin, end, signal, subreaper, dumpable, keepcaps, _, thp, slack] = before;
    let of_flag = |value: i64, set: fn(bool) -> nix::Result<()>| match value {
        -1 => Ok(()),
        value => set(value != 0),
    };
    if let Ok(name) = unpacked([begin, end]) {
        let _kept = prctl::set_name(&name);
    }
    if let Ok(signal) = i32::try_from(signal) {
        let _kept = prctl::set_pdeathsig(Signal::try_from(signal).ok());
    }
    let _kept = of_flag(subreaper, prctl::set_child_subreaper);
    let _kept = of_flag(dumpable, prctl::set_dumpable);
    let _kept = of_flag(keepcaps, prctl::set_keepcaps);
    let _kept = of_flag(thp, prctl::set_thp_disable);
    if let Ok(slack) = c_ulong::try_from(slack) {
        let _kept = prctl::set_timerslack(slack);
    }
}

/// The name of a thread, which has 15 bytes at most.
fn packed(name: &[u8]) -> [i64; 2] {
    let mut halves = [[0; 8]; 2];
    for (to, from) in halves.as_flattened_mut().iter_mut().zip(name) {
        *to = *from;
    }
    halves.map(i64::from_le_bytes)
}

fn unpacked([begin, end]: [i64; 2]) -> Result<CString, NulError> {
    let bytes = [begin, end].map(i64::to_le_bytes).concat();
    CString::new(bytes.into_iter().take_while(|byte| *byte != 0).collect::<Vec<u8>>())
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

    use super::{attributes, glance, packed, put_back_attributes, unpacked};

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

    /// spec: CARD-02
    #[test]
    fn attributes_are_put_back() {
        let before = attributes();
        assert_eq!(attributes(), before);
        nix::sys::prctl::set_name(c"other").unwrap();
        nix::sys::prctl::set_timerslack(123_456).unwrap();
        assert_ne!(attributes(), before);
        put_back_attributes(before);
        assert_eq!(attributes(), before);
    }

    #[test]
    fn names_survive_as_numbers() {
        for name in [&b""[..], b"python", b"fifteen letters", b"\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(unpacked(packed(name)).unwrap().to_bytes(), name);
        }
    }
}
