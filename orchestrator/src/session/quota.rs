//! The limits of one slot's worker, and what it has used of them.

use std::time::{Duration, Instant};

use ipc_protocol::Value;
use ipc_protocol::from_worker::LogRecord;

use super::journal::unlimited;
use crate::limits::rate::{Admission, Rate};
use crate::limits::{Excess, Limit, Limits};
use crate::worker::process::{Lowered, Process};
use crate::worker::usage;

/// Bytes that count for a value that is neither array nor text.
const SCALAR_BYTES: u64 = 8;

/// The limits of a slot's worker in this session.
#[derive(Debug, Default)]
pub(super) struct Quota {
    pub(super) limits: Limits,
    /// What was lowered in its process, to be raised again.
    lowered: Vec<Lowered>,
    /// CPU time of the process when the current call began, or gave its last output.
    cpu_before: Duration,
    printed: Rate,
}

impl Quota {
    /// Limits a worker for a session that begins. Returns a record for the host if that fails.
    pub(super) fn begin(&mut self, limits: Limits, process: &Process) -> Option<LogRecord> {
        self.end(process);
        self.limits = limits;
        let refused = process.lower(&limits, &mut self.lowered).err();
        self.printed = Rate::default();
        self.begin_step(process);
        refused.map(|errno| unlimited(process.pid, errno))
    }

    /// Limits a worker otherwise from now on. Returns a record for the host if that fails.
    pub(super) fn change(&mut self, limits: Limits, process: &Process) -> Option<LogRecord> {
        if limits == self.limits {
            return None;
        }
        process.raise(&std::mem::take(&mut self.lowered));
        if self.limits.get(Limit::CpuTime).is_none() {
            self.cpu_before = usage::cpu_time(process.pid);
        }
        self.limits = limits;
        let refused = process.lower(&limits, &mut self.lowered).err();
        refused.map(|errno| unlimited(process.pid, errno))
    }

    /// Takes the limits away, so that another session finds the worker as it was.
    pub(super) fn end(&mut self, process: &Process) {
        process.raise(&std::mem::take(&mut self.lowered));
        self.limits = Limits::default();
    }

    /// A call begins, goes on, or has given an output.
    pub(super) fn begin_step(&mut self, process: &Process) {
        if self.limits.get(Limit::CpuTime).is_some() {
            self.cpu_before = usage::cpu_time(process.pid);
        }
    }

    /// The limit that the worker exceeds now, if any.
    pub(super) fn measure(&self, process: &Process) -> Option<Excess> {
        usage::excess(process.pid, &self.limits, self.cpu_before)
    }

    /// Whether an output is too large.
    pub(super) fn excess_of(&self, output: &Value) -> Option<Excess> {
        self.limits.get(Limit::OutputSize)?;
        self.limits.excess(Limit::OutputSize, size_of(output))
    }

    /// Whether a text that nodes printed or logged is shown.
    pub(super) fn admit(&mut self, text: &str) -> Admission {
        match self.limits.get(Limit::LogRate) {
            None => Admission::Shown,
            Some(limit) => self.printed.admit(Instant::now(), text.len() as u64, limit),
        }
    }
}

/// The bytes of a value: those of its arrays, texts, bytes and pickles, and a few for each other part.
fn size_of(value: &Value) -> u64 {
    let all = |items: &[Value]| items.iter().map(size_of).sum();
    match value {
        Value::Bytes(payload) => payload.len() as u64,
        Value::Array(array) => array.data.len() as u64,
        Value::Audio(audio) => audio.samples.data.len() as u64,
        Value::Opaque(opaque) => opaque.pickle.len() as u64,
        Value::Str(text) => text.len() as u64,
        Value::BigInt(number) => number.bits().div_ceil(8),
        Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
            all(items)
        }
        Value::Dict(entries) => {
            entries.iter().map(|(key, value)| size_of(key) + size_of(value)).sum()
        }
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => SCALAR_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use ipc_protocol::Value;

    use super::{Quota, size_of};
    use crate::limits::rate::Admission;
    use crate::limits::{Limit, Limits};

    fn quota(limit: Limit, value: u64) -> Quota {
        let mut limits = Limits::default();
        limits.set(limit, value);
        Quota { limits, ..Quota::default() }
    }

    #[test]
    fn the_size_of_an_output_is_that_of_its_parts() {
        let text = Value::from("abc");
        let inner = Value::List(vec![text.clone(), Value::Int(1)]);
        let output = Value::Dict(vec![(text, inner)]);
        assert_eq!(size_of(&output), 3 + 3 + 8);
        assert_eq!(quota(Limit::OutputSize, 14).excess_of(&output), None);
        let excess = quota(Limit::OutputSize, 13).excess_of(&output).unwrap();
        assert_eq!((excess.used, excess.allowed), (14, 13));
        assert_eq!(Quota::default().excess_of(&output), None);
    }

    #[test]
    fn without_a_rate_everything_is_shown() {
        let text = "x".repeat(1 << 20);
        assert_eq!(Quota::default().admit(&text), Admission::Shown);
        assert_eq!(quota(Limit::LogRate, 1_024).admit(&text), Admission::FirstDropped);
    }
}
