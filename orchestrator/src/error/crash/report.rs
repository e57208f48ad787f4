//! A crash as text, headline first, and as JSON.

use std::fmt;
use std::time::Duration;

use ipc_protocol::recorder::Arrays;
use serde_json::{Value as Json, json};

use super::{Crash, Verdict};
use crate::error::also_lost;
use crate::failure::{operation_name, times};
use crate::limits::{Refused, show_bytes};
use crate::postmortem::{Fault, Frame};

const MIB: u64 = 1 << 20;

impl Crash {
    /// The crash in one line, without facts, stacks and stderr.
    #[must_use]
    pub fn headline(&self) -> String {
        format!("{}{}. {}", self.cause(), also_lost(&self.also_lost), self.what_next())
    }

    /// Who crashed, and how.
    #[must_use]
    pub fn cause(&self) -> String {
        let Self { node_id, pid, .. } = self;
        let (end, times) = (self.end(), times(self.tries));
        format!("node '{node_id}' crashed{times}: its worker (pid {pid}) {end}")
    }

    /// How it ended, after "its worker".
    fn end(&self) -> String {
        let signal = self.signal.as_deref().unwrap_or("a signal");
        match &self.verdict {
            Verdict::OutOfMemory => {
                format!("was killed by {signal}, because the kernel ran out of memory")
            }
            Verdict::Refused { bytes, .. } => {
                format!("aborted, because it was refused {} of memory", show_bytes(*bytes))
            }
            Verdict::Killed { by: Some(by), .. } => {
                format!("was killed by {signal}, which process {by} sent")
            }
            Verdict::Killed { may_be_memory: true, .. } => format!(
                "was killed by {signal} (not by RemoteMedia; the kernel does that when memory runs \
                 out)"
            ),
            Verdict::Killed { .. } => format!("was killed by {signal} (not by RemoteMedia)"),
            Verdict::Crashed { .. } | Verdict::Aborted { .. } => format!("was killed by {signal}"),
            Verdict::Exited(code) => format!("exited with code {code}"),
            Verdict::Disconnected => "closed its connection".to_owned(),
            Verdict::Unknown => "ended, and how is unknown: this program ignores SIGCHLD or takes \
                                 the exit status of its children"
                .to_owned(),
        }
    }

    /// What happens next, and what the user can do.
    #[must_use]
    pub fn what_next(&self) -> String {
        let next = "The next run gets a fresh worker.";
        match &self.verdict {
            Verdict::OutOfMemory => {
                format!("{next} Give its nodes smaller items, or the machine more memory.")
            }
            Verdict::Refused { allowed: Some(allowed), .. } => {
                format!("{}. {next}", Refused { allowed: *allowed })
            }
            Verdict::Refused { allowed: None, .. } => format!(
                "{next} Give its nodes smaller items, or raise what limits the memory of this program \
                 (`ulimit -v`, `ulimit -d`)."
            ),
            _ => next.to_owned(),
        }
    }

    /// What is known beside the headline, a line each: place, call, life and memory of the worker.
    #[must_use]
    pub fn facts(&self) -> Vec<String> {
        let operation = operation_name(self.operation);
        let call = self.call.map_or_else(String::new, |call| format!(", call {call} of this node"));
        let mut facts = vec![format!("in {operation}{call}")];
        facts.extend(self.place());
        facts.push(format!(
            "its worker: {} old, {} begun, {} of them in this session",
            age(self.uptime),
            calls(self.calls_of_worker),
            self.calls_of_session
        ));
        if self.peak_memory_bytes > 0 || self.memory_limit_bytes.is_some() {
            let limit = self.memory_limit_bytes.map(size);
            facts.push(format!(
                "memory: {} at most, limit {}",
                if self.peak_memory_bytes > 0 { size(self.peak_memory_bytes) } else { "?".into() },
                limit.as_deref().unwrap_or("none")
            ));
        }
        facts.extend(self.arrays.map(of_arrays));
        if self.core_dumped == Some(true) {
            facts.push("a core was dumped".to_owned());
        }
        facts
    }

    /// Where native code ended the worker.
    fn place(&self) -> Option<String> {
        let what = match &self.verdict {
            Verdict::Crashed { .. } => "native code crashed",
            Verdict::Aborted { .. } => "native code called abort",
            _ => return None,
        };
        let library = self.verdict.library().map(|library| format!(" in {library}"));
        let fault = self.fault.map(|fault| match fault.address {
            Some(address) => format!(": {} at address {address:#x}", fault.code),
            None => format!(": {}", fault.code),
        });
        Some(format!("{what}{}{}", library.unwrap_or_default(), fault.unwrap_or_default()))
    }

    /// All of it as one JSON object. The exception in Python has attributes of the same names.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let some_text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        json!({
            "message": self.headline(),
            "node_id": self.node_id,
            "operation": operation_name(self.operation),
            "call": self.call,
            "worker_pid": self.pid,
            "signal": self.signal,
            "exit_code": self.exit_code,
            "core_dumped": self.core_dumped,
            "verdict": self.verdict.name(),
            "library": self.verdict.library(),
            "killed_by": self.verdict.killed_by(),
            "fault_code": self.fault.map(|Fault { code, .. }| code),
            "fault_address": self.fault.and_then(|Fault { address, .. }| address),
            "c_stack": self.c_stack.iter().map(frame).collect::<Vec<_>>(),
            "python_stack": some_text(&self.python_stack),
            "stderr_tail": self.stderr_tail,
            "also_lost": self.also_lost,
            "uptime": self.uptime.as_secs_f64(),
            "calls_of_worker": self.calls_of_worker,
            "calls_of_session": self.calls_of_session,
            "peak_memory_bytes": (self.peak_memory_bytes > 0).then_some(self.peak_memory_bytes),
            "array_private_bytes": self.arrays.map(|arrays| arrays.private_bytes),
            "array_shared_bytes": self.arrays.map(|arrays| arrays.shared_bytes),
            "memory_limit_bytes": self.memory_limit_bytes,
            "tries": self.tries,
            "what_next": self.what_next(),
        })
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.headline())?;
        for fact in self.facts() {
            write!(out, "\n  {fact}")?;
        }
        if !self.python_stack.is_empty() {
            write!(out, "\nPython stack at the time of death:\n{}", self.python_stack.trim_end())?;
        }
        if !self.c_stack.is_empty() {
            out.write_str("\nC stack at the time of death, innermost call first:")?;
        }
        for frame in &self.c_stack {
            write!(out, "\n  {frame}")?;
        }
        if !self.stderr_tail.is_empty() {
            write!(out, "\nLast lines of its stderr:\n{}", self.stderr_tail.trim_end())?;
        }
        Ok(())
    }
}

fn frame(frame: &Frame) -> Json {
    let library = frame.library.as_deref().map(|path| path.to_string_lossy());
    json!({"library": library, "symbol": frame.symbol, "offset": frame.offset})
}

fn calls(number: u64) -> String {
    if number == 1 { "1 call".to_owned() } else { format!("{number} calls") }
}

fn age(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// The memory in the arrays of the node that ran, in one line.
pub(in crate::error) fn of_arrays(arrays: Arrays) -> String {
    let Arrays { private_bytes, shared_bytes } = arrays;
    format!(
        "numpy arrays of this node: {} private, {} shared",
        size(private_bytes),
        size(shared_bytes)
    )
}

fn size(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(MIB))
}
