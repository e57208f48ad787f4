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
    #[must_use]
    pub fn lower(&self, limits: &Limits) -> Vec<Lowered> {
        let set = ENFORCED.iter().filter_map(|(limit, resource)| {
            let set = limits.get(*limit)?;
            let before = self.limit(*resource, |now| (now > set).then_some(set))?;
            Some(Lowered { resource: *resource, before, set })
        });
        set.collect()
    }

    /// Raises the limits again that were lowered and that the process has not changed since.
    pub fn raise(&self, lowered: &[Lowered]) {
        for Lowered { resource, before, set } in lowered {
            self.limit(*resource, |now| (now == *set).then_some(*before));
        }
    }

    /// Replaces a soft limit by what `change` makes of it, if it makes anything. Returns the limit before
    /// the change.
    fn limit(
        &self,
        resource: Resource,
        change: impl FnOnce(libc::rlim_t) -> Option<libc::rlim_t>,
    ) -> Option<libc::rlim_t> {
        // While the lock is held, `reap` cannot free the process id.
        let state = self.state();
        let pid = i32::try_from(self.pid).ok()?;
        if state.is_reaped || !self.is_held_by_parent() {
            return None;
        }
        let mut limit = prlimit(pid, resource, None).ok()?;
        let before = limit.rlim_cur;
        limit.rlim_cur = change(before)?.min(limit.rlim_max);
        prlimit(pid, resource, Some(&limit)).ok()?;
        Some(before)
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
