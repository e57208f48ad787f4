//! Converts the results of `remotemedia._guest` to data of the protocol.

use std::time::Duration;

use ipc_protocol::from_worker::{Closed, NodeReady, NodeState};
use ipc_protocol::to_worker::SavedState;
use ipc_protocol::{Fault, FaultDetail, FaultKind, ImportFault, ImportReason, Part, Raised, Value};

use crate::link::Alarm;

/// The nodes of a session that has opened.
pub(super) fn ready(answer: Value) -> Result<Vec<NodeReady>, Fault> {
    elements(answer, ready_node).ok_or_else(|| unexpected("open_session"))
}

fn ready_node(entry: Value) -> Option<NodeReady> {
    let [
        Value::Str(node_id),
        Value::Bool(is_source),
        Value::Bool(is_streaming),
        Value::Bool(is_async),
        Value::Bool(flushes),
        Value::Bool(saves),
    ] = parts(entry)?
    else {
        return None;
    };
    Some(NodeReady { node_id, is_source, is_streaming, is_async, flushes, saves })
}

/// The result of closing a session: changed node states, faults of cleaning up, and process state
/// that could not be restored.
pub(super) fn closed(answer: Value) -> Result<Closed, Fault> {
    let closed = parts(answer).and_then(|[states, faults, left]| {
        let (states, faults) = (elements(states, state)?, elements(faults, fault)?);
        Some(Closed { states, faults, left: elements(left, name)? })
    });
    closed.ok_or_else(|| unexpected("close"))
}

fn state(entry: Value) -> Option<NodeState> {
    let [Value::Str(node_id), Value::Bytes(attributes), kept] = parts(entry)? else { return None };
    Some(NodeState { node_id, attributes, kept: elements(kept, kept_attribute)? })
}

/// The state of nodes.
pub(super) fn saved(answer: Value) -> Result<Vec<SavedState>, Fault> {
    let saved_state = |entry| {
        let [Value::Str(node_id), Value::Bytes(state)] = parts(entry)? else { return None };
        Some(SavedState { node_id, state })
    };
    elements(answer, saved_state).ok_or_else(|| unexpected("save"))
}

/// Names of modules.
pub(super) fn names(answer: Value) -> Option<Vec<String>> {
    elements(answer, name)
}

fn name(entry: Value) -> Option<String> {
    let Value::Str(name) = entry else { return None };
    Some(name)
}

/// The name of an attribute that cannot be sent back to the caller, and the reason.
fn kept_attribute(entry: Value) -> Option<(String, String)> {
    let [Value::Str(name), Value::Str(reason)] = parts(entry)? else { return None };
    Some((name, reason))
}

/// The alarm of the event loop, from the result of `Guest.attend`: a descriptor, the seconds until
/// the first timer or `None`, and whether the loop is quiet.
pub(super) fn alarm(parts: [Option<Value>; 3]) -> Option<Alarm> {
    let [Some(Value::Int(descriptor)), after, Some(Value::Bool(is_quiet))] = parts else {
        return None;
    };
    let after = match after? {
        Value::None => None,
        // Seconds that no `Duration` can hold, such as infinity, mean no time-out.
        Value::Float(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        _ => return None,
    };
    Some(Alarm { descriptor: i32::try_from(descriptor).ok()?, after, is_quiet })
}

/// The fault described by the dict that `remotemedia._guest.faults.facts` returns.
pub(super) fn fault(facts: Value) -> Option<Fault> {
    Some(Fault {
        kind: FaultKind::from_name(&text(&facts, "kind")?),
        node_id: text(&facts, "node_id")?,
        remote_type: text(&facts, "remote_type")?,
        message: text(&facts, "message")?,
        traceback: text(&facts, "traceback")?,
        import: facts.get("import_info").and_then(import_fault).map(Box::new),
        detail: facts.get("detail").and_then(detail).map(Box::new),
        raised: facts.get("raised").and_then(raised).map(Box::new),
    })
}

/// The entry `detail` of that dict, see `Detail` in `remotemedia._guest.faults`.
fn detail(known: &Value) -> Option<FaultDetail> {
    let Value::Tuple(words) = known else { return None };
    match words.as_slice() {
        [Value::Str(kind), Value::Str(name)] if kind == "nearest" => {
            Some(FaultDetail::Nearest(name.clone()))
        }
        [Value::Str(kind), Value::Str(path), Value::Str(type_name)] => {
            let part = Part { path: path.clone(), type_name: type_name.clone() };
            match kind.as_str() {
                "unsendable" => Some(FaultDetail::Unsendable(part)),
                "unopenable" => Some(FaultDetail::Unopenable(part)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The entry `raised` of that dict: names of types, whether the call is kept, and the exception as
/// text.
fn raised(known: &Value) -> Option<Raised> {
    let [types, Value::Bool(is_kept), Value::Str(described)] = parts(known.clone())? else {
        return None;
    };
    Some(Raised { types: elements(types, name)?, is_kept, described })
}

/// The entry `import_info` of that dict; `None` if the exception does not come from an import.
fn import_fault(info: &Value) -> Option<ImportFault> {
    Some(ImportFault {
        reason: ImportReason::from_name(&text(info, "reason")?)?,
        module: text(info, "module")?,
        root_package: text(info, "root_package")?,
        path: text(info, "path").unwrap_or_default(),
        suggestion: text(info, "suggestion").unwrap_or_default(),
        is_told: matches!(info.get("is_told"), Some(Value::Bool(true))),
    })
}

fn text(facts: &Value, name: &str) -> Option<String> {
    let Value::Str(text) = facts.get(name)? else { return None };
    Some(text.clone())
}

/// The fault for an exception that could not be described, for instance because memory ran out.
pub(super) fn unknown_fault() -> Fault {
    marshal_fault("RuntimeError", "an exception was raised, and describing it failed".to_owned())
}

fn unexpected(method: &str) -> Fault {
    marshal_fault("TypeError", format!("remotemedia._guest.Guest.{method} returned another type"))
}

fn marshal_fault(remote_type: &str, message: String) -> Fault {
    Fault {
        kind: FaultKind::Marshal,
        node_id: String::new(),
        remote_type: remote_type.to_owned(),
        message,
        traceback: String::new(),
        import: None,
        detail: None,
        raised: None,
    }
}

/// The elements of a tuple; `None` unless there are exactly `N`.
fn parts<const N: usize>(value: Value) -> Option<[Value; N]> {
    let Value::Tuple(parts) = value else { return None };
    parts.try_into().ok()
}

/// The elements of a list, each converted; `None` if one conversion fails.
fn elements<T>(value: Value, element: impl Fn(Value) -> Option<T>) -> Option<Vec<T>> {
    let Value::List(values) = value else { return None };
    values.into_iter().map(element).collect()
}
