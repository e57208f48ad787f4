//! Converts the JSON of node parameters and metadata to values.

use ipc_protocol::Value;
use num_bigint::BigInt;
use serde_json::Value as Json;

/// Converts JSON to a value. Integers stay integers: they fit 64 bits, as a manifest with a larger
/// one is refused.
#[must_use]
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::None,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => from_number(number),
        Json::String(text) => Value::Str(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect()),
        Json::Object(entries) => Value::Dict(
            entries
                .iter()
                .map(|(key, item)| (Value::from(key.as_str()), from_json(item)))
                .collect(),
        ),
    }
}

fn from_number(number: &serde_json::Number) -> Value {
    if let Some(small) = number.as_i64() {
        return Value::Int(small);
    }
    match number.as_u64() {
        Some(large) => Value::BigInt(BigInt::from(large)),
        None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
    }
}
