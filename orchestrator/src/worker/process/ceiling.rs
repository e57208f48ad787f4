//! The limits of a worker that its kernel enforces. They are set from outside for one session and taken
//! back after it, so that the next one finds the worker as it was. Only soft limits: these can be raised
//! again without privileges.

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::Resource;

use super::Process;
use crate::limits::{Limit, Limits};

/// The limits of the kernel, each with that of ours.
const ENFORCED: [(Limit, Resource); 2] =
    [(Limit::Memory, Resource::RLIMIT_DATA), (Limit::OpenFiles, Resource::RLIMIT_NOFILE)];

/// A soft limit that was lowered.
#[derive(Debug, Clone, Copy)]
pub struct Lowered {
    resource: Resource,
    before: libc::rlim_t,
    set: libc::rlim_t,
}

impl Process {
    /// Lowers what `limits` sets, for the process and what it starts from now on. Nothing is raised.
    /// What was lowered is added to `lowered`.
    ///
    /// # Errors
    /// When the kernel refuses it. A process that has ended is no error.
    pub fn lower(&self, limits: &Limits, lowered: &mut Vec<Lowered>) -> nix::Result<()> {
        for (limit, resource) in ENFORCED {
            let Some(set) = limits.get(limit) else { continue };
            let before = self.replace(resource, |now| (now > set).then_some(set))?;
            lowered.extend(before.map(|before| Lowered { resource, before, set }));
        }
        Ok(())
    }

    /// Raises the limits again that were lowered and that the process has not changed since.
    pub fn raise(&self, lowered: &[Lowered]) {
        for Lowered { resource, before, set } in lowered {
            // It may be raised to where it was.
            let _ended = self.replace(*resource, |now| (now == *set).then_some(*before));
        }
    }

    /// Replaces a soft limit by what `change` makes of it, if it makes anything. Returns the limit before
    /// the change; `None`: it was not changed.
    fn replace(
        &self,
        resource: Resource,
        change: impl FnOnce(libc::rlim_t) -> Option<libc::rlim_t>,
    ) -> nix::Result<Option<libc::rlim_t>> {
        // While the lock is held, `reap` cannot free the process id.
        let state = self.state();
        let (false, true, Ok(pid)) =
            (state.is_reaped, self.is_running(), libc::pid_t::try_from(self.pid))
        else {
            return Ok(None);
        };
        let mut limit = prlimit(pid, resource, None)?;
        let before = limit.rlim_cur;
        let Some(wanted) = change(before) else { return Ok(None) };
        limit.rlim_cur = wanted.min(limit.rlim_max);
        prlimit(pid, resource, Some(&limit))?;
        Ok(Some(before))
    }
}

/// A limit of a process before it is set to `new`.
fn prlimit(
    pid: libc::pid_t,
    resource: Resource,
    new: Option<&libc::rlimit>,
) -> nix::Result<libc::rlimit> {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `new` is null or points to a limit, which the kernel reads, and `old` to one that it writes.
    let done =
        unsafe { libc::prlimit(pid, resource as libc::__rlimit_resource_t, new, &raw mut old) };
    Errno::result(done).map(|_| old)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;

    use ipc_protocol::kin::Mark;
    use nix::libc;
    use nix::sys::resource::Resource;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::super::WorkerEnds;
    use super::{Process, prlimit};
    use crate::limits::{Limit, Limits};

    /// A program that ends with its standard input.
    fn started() -> (Child, Arc<Process>) {
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let (ends, _theirs) = WorkerEnds::new(Mark::new(1, 1)).unwrap();
        let pid = child.id();
        (child, ends.joined(1, pid, Arc::new(pidfd), None).process)
    }

    fn now(child: &Child, resource: Resource) -> libc::rlimit {
        prlimit(i32::try_from(child.id()).unwrap(), resource, None).unwrap()
    }

    fn limits() -> Limits {
        let mut limits = Limits::default();
        limits.set(Limit::Memory, 64 << 20);
        limits.set(Limit::OpenFiles, 100);
        limits
    }

    #[test]
    fn soft_limits_are_lowered_for_a_while_and_nothing_else_changes() {
        // spec: CARD-08
        let (mut child, process) = started();
        let resources = [Resource::RLIMIT_DATA, Resource::RLIMIT_NOFILE, Resource::RLIMIT_AS];
        let all =
            |child: &Child| resources.map(|r| (now(child, r).rlim_cur, now(child, r).rlim_max));
        let before = all(&child);
        let mut lowered = Vec::new();
        process.lower(&limits(), &mut lowered).unwrap();
        let [data, files, space] = before;
        assert_eq!(all(&child), [(64 << 20, data.1), (100, files.1), space]);
        process.raise(&lowered);
        assert_eq!(all(&child), before);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn what_the_process_has_changed_itself_stays() {
        // spec: CARD-08
        let (mut child, process) = started();
        let mut lowered = Vec::new();
        process.lower(&limits(), &mut lowered).unwrap();
        let own = libc::rlimit { rlim_cur: 50, ..now(&child, Resource::RLIMIT_NOFILE) };
        let pid = i32::try_from(child.id()).unwrap();
        prlimit(pid, Resource::RLIMIT_NOFILE, Some(&own)).unwrap();
        // What is lower already is not raised either.
        let mut again = Vec::new();
        process.lower(&limits(), &mut again).unwrap();
        assert!(again.is_empty());
        process.raise(&lowered);
        assert_eq!(now(&child, Resource::RLIMIT_NOFILE).rlim_cur, 50);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_has_ended_is_left_alone() {
        let (mut child, process) = started();
        drop(child.stdin.take());
        child.wait().unwrap();
        let mut lowered = Vec::new();
        process.lower(&limits(), &mut lowered).unwrap();
        assert!(lowered.is_empty());
    }
}
