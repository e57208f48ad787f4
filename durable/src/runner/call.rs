//! What is sent to a worker for a task, and what comes back. The other half is in Python:
//! `remotemedia/_task_host.py`.

use ipc_protocol::{FaultDetail, FaultKind, Value};
use orchestrator::Error;
use orchestrator::error::Crash;
use orchestrator::failure::NodeFailure;

use super::drive::Shared;
use super::lock;
use crate::engine::{Argument, AttemptResult, Job, Report, Until};
use crate::failure::{Failure, FailureKind};
use crate::value::{Blobs, KeepError, Kept};

/// The end of a task as its worker reports it.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) result: AttemptResult,
    pub(super) pid: Option<u32>,
}

/// Something that a worker reports.
#[derive(Debug)]
pub(super) enum Heard {
    /// An inner step has ended; the task waits for [`go_on`].
    Note(String, Kept),
    /// The task has ended.
    End(Box<Came>),
}

/// The item that lets a task go on whose inner step is kept.
pub(super) fn go_on() -> Value {
    Value::None
}

/// The item for a job: a dict with function, code and arguments.
pub(super) fn item(job: &Job, shared: &Shared, blobs: &dyn Blobs) -> Result<Value, KeepError> {
    let mut arguments = Vec::with_capacity(job.arguments.len());
    for (name, argument) in &job.arguments {
        let (kind, value) = match argument {
            Argument::Whole(kept) => ("value", Some(kept.open(blobs)?)),
            Argument::Key(kept, key) => ("value", kept.outline()?.get(key).cloned()),
            Argument::List(all) => {
                let values = all.iter().map(|kept| kept.open(blobs)).collect::<Result<_, _>>()?;
                ("value", Some(Value::List(values)))
            }
            Argument::Context(all) => ("context", Some(merged(all, blobs)?)),
            Argument::Handle(all) => ("handle", Some(merged(all, blobs)?)),
        };
        if let Some(mut value) = value {
            crate::value::complete(&mut value, blobs)?;
            arguments.push(Value::Tuple(vec![name.as_str().into(), kind.into(), value]));
        }
    }
    let key = |task: &str| job.code.as_ref().map(|hash| (hash.clone(), task.to_owned()));
    let code = key(&job.task).and_then(|key| lock(&shared.codes).get(&key).cloned());
    let code_id = code.as_ref().map(|code| crate::value::digest(code));
    Ok(dict(vec![
        ("function", job.function.as_deref().map_or(Value::None, Value::from)),
        ("code", code.map_or(Value::None, |code| Value::Bytes(code.into()))),
        ("code_id", code_id.map_or(Value::None, Value::Str)),
        ("arguments", Value::List(arguments)),
        ("run", Value::from(&*job.run)),
        ("step", Value::from(job.step.as_str())),
        ("attempt", Value::Int(job.attempt.into())),
        ("inner", dict_of(&job.inner, blobs)?),
        ("events", dict_of(&job.events, blobs)?),
    ]))
}

fn dict(entries: Vec<(&str, Value)>) -> Value {
    Value::Dict(entries.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn dict_of(entries: &[(String, Kept)], blobs: &dyn Blobs) -> Result<Value, KeepError> {
    let opened = entries.iter().map(|(name, kept)| Ok((name.as_str().into(), kept.open(blobs)?)));
    Ok(Value::Dict(opened.collect::<Result<_, KeepError>>()?))
}

/// One dict of several; values that are no dicts are left out.
pub(super) fn merged(all: &[Kept], blobs: &dyn Blobs) -> Result<Value, KeepError> {
    let mut merged: Vec<(Value, Value)> = Vec::new();
    for kept in all {
        let Value::Dict(entries) = kept.open(blobs)? else { continue };
        for (key, value) in entries {
            match merged.iter_mut().find(|(known, _)| *known == key) {
                Some((_, old)) => *old = value,
                None => merged.push((key, value)),
            }
        }
    }
    Ok(Value::Dict(merged))
}

/// Reads an output of the task host: a tuple that begins with a word.
pub(super) fn read(value: Value, blobs: &dyn Blobs) -> Heard {
    let Value::Tuple(parts) = value else { return broken() };
    let mut parts = parts.into_iter();
    let word = parts.next();
    let Some(Value::Str(word)) = word else { return broken() };
    let next = |parts: &mut std::vec::IntoIter<Value>| parts.next().unwrap_or_default();
    if word == "note" {
        let (name, value) = (text(next(&mut parts)), next(&mut parts));
        return match Kept::new(value, &format!("step {name}"), blobs) {
            Ok(kept) => Heard::Note(name, kept),
            Err(error) => end(None, not_kept(&error)),
        };
    }
    let pid = number(next(&mut parts)).and_then(|pid| u32::try_from(pid).ok());
    let result = match word.as_str() {
        "returned" => match Kept::new(next(&mut parts), "result", blobs) {
            Ok(kept) => AttemptResult::Returned(kept),
            Err(error) => not_kept(&error),
        },
        "raised" => {
            let classes = match next(&mut parts) {
                Value::List(names) => names.into_iter().map(text).collect(),
                _ => Vec::new(),
            };
            let (message, traceback) = (text(next(&mut parts)), text(next(&mut parts)));
            let failure = Failure::new(FailureKind::Raised, message);
            let type_name = classes.first().cloned().unwrap_or_default();
            AttemptResult::Failed(Failure { type_name, classes, traceback, ..failure })
        }
        "pause" => {
            let name = text(next(&mut parts));
            let pause_ms = number(next(&mut parts)).and_then(|ms| u64::try_from(ms).ok());
            AttemptResult::Suspended(Until::Pause(name, pause_ms.unwrap_or(0)))
        }
        "event" => AttemptResult::Suspended(Until::Event(text(next(&mut parts)))),
        _ => return broken(),
    };
    end(pid, result)
}

fn end(pid: Option<u32>, result: AttemptResult) -> Heard {
    Heard::End(Box::new(Came { result, pid }))
}

fn broken() -> Heard {
    let message = "its worker gave an answer that is none; both sides must be of one version";
    let failure = Failure::new(FailureKind::NotStarted, message.to_owned());
    end(None, AttemptResult::Failed(failure))
}

fn not_kept(error: &KeepError) -> AttemptResult {
    let failure = Failure::new(FailureKind::NotKept, error.to_string());
    let type_name = "TypeError".to_owned();
    AttemptResult::Failed(Failure { classes: vec![type_name.clone()], type_name, ..failure })
}

fn text(value: Value) -> String {
    if let Value::Str(text) = value { text } else { String::new() }
}

fn number(value: Value) -> Option<i64> {
    if let Value::Int(number) = value { Some(number) } else { None }
}

/// Puts an error of the session into the report of an attempt.
pub(super) fn failed(error: Error, report: &mut Report) {
    let failure = match error {
        Error::Cancelled | Error::Closed => return,
        Error::Crashed(crash) if crash.operation == FaultKind::Process => crashed(&crash, report),
        Error::Crashed(crash) => Failure { kind: FailureKind::NoWorker, ..crashed(&crash, report) },
        Error::TimedOut(over) if over.operation == FaultKind::Process => {
            report.pid = Some(over.pid);
            report.tail = some(over.stderr_tail.clone());
            let failure = Failure::timed_out(over.timeout.as_millis());
            Failure { traceback: over.python_stack.clone(), ..failure }
        }
        Error::LimitExceeded(over) => {
            report.pid = Some(over.pid);
            report.tail = some(over.stderr_tail.clone());
            let message = format!("its worker {}, and was killed", over.excess);
            Failure {
                traceback: over.python_stack.clone(),
                ..Failure::new(FailureKind::LimitExceeded, message)
            }
        }
        Error::Node(node) => {
            let kind = match node.operation {
                FaultKind::Marshal => FailureKind::NotKept,
                _ => FailureKind::NotStarted,
            };
            Failure {
                type_name: node.remote_type.clone(),
                traceback: node.traceback.clone(),
                ..Failure::new(kind, told(&node))
            }
        }
        other => Failure::new(FailureKind::NoWorker, other.to_string()),
    };
    report.result = AttemptResult::Failed(failure);
}

/// The message, with the path as the author of a task knows it: its result is a part of the output.
fn told(node: &NodeFailure) -> String {
    let told = node.told().into_owned();
    let Some(FaultDetail::Unsendable(part)) = node.detail.as_deref() else { return told };
    match part.path.strip_prefix("output[2]") {
        Some(rest) => told.replacen(&part.path, &format!("result{rest}"), 1),
        None => told,
    }
}

fn crashed(crash: &Crash, report: &mut Report) -> Failure {
    report.pid = Some(crash.pid);
    report.signal.clone_from(&crash.signal);
    report.tail = some(crash.stderr_tail.clone());
    let frames = crash.c_stack.iter().map(|frame| format!("  {frame}\n")).collect::<String>();
    let traceback = format!("{}{frames}", crash.python_stack);
    let how = match (&crash.signal, crash.exit_code) {
        (Some(signal), _) => signal.clone(),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => crash.verdict.name().to_owned(),
    };
    let message = format!("its process {} died ({})", crash.pid, crash.verdict.name());
    Failure { type_name: how, traceback, ..Failure::new(FailureKind::Crashed, message) }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
