//! Puts together what is known about a worker that died, as a [`Crash`].

use ipc_protocol::FaultKind;
use ipc_protocol::recorder::Arrays;
use nix::sys::signal::Signal;

use super::workers::Slot;
use crate::error::{Crash, Verdict};
use crate::limits::Limit;
use crate::postmortem::{Frame, Remains, is_of_system};
use crate::worker::exit::Exit;
use crate::worker::memory::group;
use crate::worker::process::Process;

/// The signal that the kernel sends when memory runs out.
const KILL: i32 = Signal::SIGKILL as i32;
/// The signal of `abort`.
const ABORT: i32 = Signal::SIGABRT as i32;

/// What the session knows about the nodes of a worker that died.
pub(super) struct Circumstances {
    pub(super) node_id: String,
    pub(super) operation: FaultKind,
    pub(super) also_lost: Vec<String>,
    /// Highest memory of any call so far, in bytes.
    pub(super) peak_memory_bytes: u64,
}

/// The crash of the worker in a slot.
pub(super) fn crash(slot: &Slot, process: &Process, known: Circumstances) -> Crash {
    let exit = process.exit();
    let number = match exit {
        Some(Exit::Signal { number, .. }) => Some(number),
        _ => None,
    };
    // What was left by a signal that did not end the process is no explanation.
    let remains = process.blackbox.remains().filter(|left| Some(left.signal()) == number);
    let c_stack = remains.as_ref().map(Remains::c_stack).unwrap_or_default();
    let counts = process.blackbox.calls();
    let is_call = known.operation == FaultKind::Process;
    let limits = &slot.quota.limits;
    let died_with = remains.as_ref().map_or(0, Remains::resident_bytes);
    let verdict = verdict(slot, exit.as_ref(), remains.as_ref(), &c_stack);
    let limit_bytes = match verdict {
        Verdict::Refused { allowed, .. } => allowed,
        _ => group::limit_bytes().into_iter().chain(limits.get(Limit::MemoryHard)).min(),
    };
    Crash {
        node_id: known.node_id,
        operation: known.operation,
        call: counts.map(|counts| counts.of_node).filter(|count| is_call && *count > 0),
        pid: process.pid,
        signal: exit.as_ref().and_then(Exit::signal_name),
        exit_code: exit.as_ref().and_then(Exit::code),
        core_dumped: exit.as_ref().and_then(Exit::has_core),
        verdict,
        fault: remains.as_ref().and_then(Remains::fault),
        c_stack,
        python_stack: process.blackbox.stack(),
        stderr_tail: process.stderr_tail(),
        also_lost: known.also_lost,
        uptime: process.uptime(),
        calls_of_worker: counts.map_or(0, |counts| counts.of_worker),
        calls_of_session: counts.map_or(0, |counts| counts.of_session),
        peak_memory_bytes: known.peak_memory_bytes.max(died_with).max(process.peak_memory()),
        arrays: arrays(process),
        memory_limit_bytes: limit_bytes,
        tries: 1,
    }
}

/// The memory in arrays of the node that ran.
pub(super) fn arrays(process: &Process) -> Option<Arrays> {
    let recorder = &process.blackbox;
    recorder.arrays(recorder.note()?.node)
}

fn verdict(
    slot: &Slot,
    exit: Option<&Exit>,
    remains: Option<&Remains>,
    c_stack: &[Frame],
) -> Verdict {
    let number = match exit {
        None => return Verdict::Disconnected,
        Some(Exit::Unknown) => return Verdict::Unknown,
        Some(Exit::Code(code)) => return Verdict::Exited(*code),
        Some(Exit::Signal { number, .. }) => *number,
    };
    if number == KILL {
        return of_kill(slot.kills_before, group::kills(), slot.is_killed);
    }
    let Some(remains) = remains else {
        return Verdict::Killed { by: None, may_be_memory: false };
    };
    let (was_sent, by) = (remains.fault().is_none(), remains.sender());
    if was_sent && by != slot.process().map(|process| process.pid) {
        return Verdict::Killed { by, may_be_memory: false };
    }
    // `abort`, `raise` and `kill` are functions of the C library, which does as it was asked.
    let is_telling = |frame: &&Frame| {
        !was_sent || frame.library.as_deref().is_some_and(|path| !is_of_system(path))
    };
    let library = c_stack.iter().find(is_telling).and_then(Frame::library_name);
    match number {
        ABORT if let Some(bytes) = remains.refused_bytes() => {
            Verdict::Refused { bytes, allowed: slot.quota.limits.get(Limit::Memory) }
        }
        ABORT => Verdict::Aborted { library },
        _ => Verdict::Crashed { library },
    }
}

/// The verdict on a SIGKILL. `before` and `now` count kills for lack of memory.
fn of_kill(before: Option<u64>, now: Option<u64>, is_ours: bool) -> Verdict {
    match (before, now) {
        (Some(before), Some(now)) if now > before => Verdict::OutOfMemory,
        _ if is_ours => Verdict::Disconnected,
        _ => Verdict::Killed { by: None, may_be_memory: before.is_none() || now.is_none() },
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, of_kill};

    // spec: CARD-08
    #[test]
    fn a_kill_is_for_memory_when_the_kernel_has_counted_one() {
        let killed = |may_be_memory| Verdict::Killed { by: None, may_be_memory };
        assert_eq!(of_kill(Some(2), Some(3), false), Verdict::OutOfMemory);
        assert_eq!(of_kill(Some(2), Some(3), true), Verdict::OutOfMemory);
        assert_eq!(of_kill(Some(2), Some(2), true), Verdict::Disconnected);
        assert_eq!(of_kill(Some(2), Some(2), false), killed(false));
        assert_eq!(of_kill(None, None, false), killed(true));
    }
}
