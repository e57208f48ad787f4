//! Numbers of values and constants, with their order as Python has it. Pure.

use std::cmp::Ordering;

use ipc_protocol::Value;
use num_bigint::{BigInt, ToBigInt};
use serde_json::Value as Json;

/// The key of a dict with one entry, whose value is the text of a number: the form of constants that
/// JSON does not hold exactly.
const NUMBER: &str = "remotemedia.number";

/// A number. Truths are numbers, as in Python.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Number {
    Int(BigInt),
    Float(f64),
}

impl Number {
    /// The number that a value is.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(truth) => Some(Self::Int(BigInt::from(u8::from(*truth)))),
            Value::Int(number) => Some(Self::Int((*number).into())),
            Value::BigInt(number) => Some(Self::Int(number.clone())),
            Value::Float(number) => Some(Self::Float(*number)),
            _ => None,
        }
    }

    /// The number that a constant is.
    pub(super) fn of_constant(constant: &Json) -> Option<Self> {
        match constant {
            Json::Bool(truth) => Some(Self::Int(BigInt::from(u8::from(*truth)))),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Some(Self::Int(number.into())),
                (None, Some(number)) => Some(Self::Int(number.into())),
                (None, None) => number.as_f64().map(Self::Float),
            },
            other => {
                let text = number_text(other)?;
                let int = text.parse().map(Self::Int);
                int.ok().or_else(|| text.parse().map(Self::Float).ok())
            }
        }
    }

    /// The order of two numbers; `None` for NaN.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(number), Self::Int(other)) => Some(number.cmp(other)),
            (Self::Float(number), Self::Float(other)) => number.partial_cmp(other),
            (Self::Int(number), Self::Float(other)) => order_of(number, *other),
            (Self::Float(number), Self::Int(other)) => {
                order_of(other, *number).map(Ordering::reverse)
            }
        }
    }
}

/// An integer is never made a float for this: 2**53 and 2**53 + 1 would be the same.
fn order_of(number: &BigInt, other: f64) -> Option<Ordering> {
    if other.is_infinite() {
        return 0.0.partial_cmp(&other);
    }
    let floor = other.floor();
    let order = number.cmp(&floor.to_bigint()?);
    Some(if order == Ordering::Equal && other > floor { Ordering::Less } else { order })
}

/// The text of a number that JSON does not hold exactly.
pub(super) fn number_text(constant: &Json) -> Option<&str> {
    let entries = constant.as_object().filter(|entries| entries.len() == 1)?;
    entries.get(NUMBER)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(value: impl Into<Value>, with: &Json) -> Option<Ordering> {
        Number::of(&value.into()).unwrap().order(&Number::of_constant(with).unwrap())
    }

    #[test]
    fn numbers_of_different_types_compare_exactly() {
        // spec: CLO-13
        let text = |digits: &str| json!({ NUMBER: digits });
        let large = Value::BigInt("100000000000000000000001".parse().unwrap());
        assert_eq!(order(large.clone(), &text("100000000000000000000001")), Some(Ordering::Equal));
        assert_eq!(order(large.clone(), &json!(1e23)), Some(Ordering::Greater));
        assert_eq!(order(large.clone(), &json!(u64::MAX)), Some(Ordering::Greater));
        assert_eq!(order(large, &text("inf")), Some(Ordering::Less));
        let odd = (1_i64 << 53) + 1;
        assert_eq!(order(odd, &json!(9_007_199_254_740_992.0)), Some(Ordering::Greater));
        assert_eq!(order(9_007_199_254_740_992.0, &json!(odd)), Some(Ordering::Less));
        assert_eq!(order(3, &json!(3.5)), Some(Ordering::Less));
        assert_eq!(order(-3, &json!(-3.5)), Some(Ordering::Greater));
        assert_eq!(order(true, &json!(1)), Some(Ordering::Equal));
        assert_eq!(order(f64::NAN, &json!(1)), None);
        assert_eq!(order(1, &text("nan")), None);
        assert_eq!(order(f64::INFINITY, &json!(1)), Some(Ordering::Greater));
        assert_eq!(number_text(&json!({ NUMBER: "1", "other": 2 })), None);
    }
}
