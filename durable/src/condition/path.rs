//! What a path leads to in a value.

use ipc_protocol::Value;

use super::{Key, element};
use crate::value::audio_rate;

/// What is at a path in a value. `Err` has a value that is kept apart, so that nothing in it is seen.
pub(super) fn find(value: Value, path: &[Key]) -> Result<Option<Value>, Value> {
    let mut found = value;
    for key in path {
        match inside(found, key)? {
            Some(inner) => found = inner,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

fn inside(value: Value, key: &Key) -> Result<Option<Value>, Value> {
    let is_key = |known: &Value| match (known, key) {
        (Value::Str(known), Key::Name(name)) => known == name,
        (Value::Int(known), Key::Index(index)) => known == index,
        _ => false,
    };
    Ok(match (value, key) {
        (Value::Dict(entries), _) => {
            entries.into_iter().find(|(known, _)| is_key(known)).map(|(_, item)| item)
        }
        (Value::List(items) | Value::Tuple(items), Key::Index(index)) => {
            position(*index, items.len()).and_then(|at| items.into_iter().nth(at))
        }
        (Value::Str(text), Key::Index(index)) => {
            let letters: Vec<char> = text.chars().collect();
            position(*index, letters.len()).map(|at| Value::Str(letters[at].to_string()))
        }
        (Value::Array(array), Key::Index(index)) => {
            let length = array.shape.first().and_then(|length| usize::try_from(*length).ok());
            position(*index, length.unwrap_or(0)).and_then(|at| element::at(&array, at))
        }
        (Value::Audio(audio), Key::Index(index)) => match position(*index, 2) {
            Some(0) => Some(Value::Array(audio.samples)),
            Some(_) => Some(Value::Int(audio.sample_rate_hz.into())),
            None => None,
        },
        (Value::Opaque(apart), Key::Index(1 | -1)) => match audio_rate(&apart) {
            Some(rate) => Some(Value::Int(rate.into())),
            None => return Err(Value::Opaque(apart)),
        },
        (Value::Opaque(apart), _) => return Err(Value::Opaque(apart)),
        _ => None,
    })
}

/// The position that an index means, which counts from the end if it is negative.
fn position(index: i64, length: usize) -> Option<usize> {
    let from_end = if index < 0 { i64::try_from(length).ok()? } else { 0 };
    usize::try_from(index + from_end).ok().filter(|at| *at < length)
}
