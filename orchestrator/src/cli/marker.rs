//! Reads the marked JSON objects with which the command line writes values that JSON does not have:
//! arrays, bytes, NaN and infinities, dicts whose keys are not all texts. `output` writes them.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ipc_protocol::{Array, Dtype, Order, Payload, Value};

/// A marked object whose content does not fit its mark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum MarkerError {
    #[error("an object with __numpy__ needs {field}: {expected}")]
    Field { field: &'static str, expected: &'static str },
    #[error("__numpy__: unknown dtype '{dtype}'; known are {}", known_dtypes())]
    Dtype { dtype: String },
    #[error("__numpy__: element {index} does not fit dtype {dtype}")]
    Element { index: usize, dtype: String },
    #[error("__numpy__: {elements} elements do not fill shape {shape:?}")]
    Shape { elements: usize, shape: Vec<u64> },
    #[error("__bytes__ needs a text in Base64")]
    Bytes,
    #[error("__float__ must be \"nan\", \"inf\" or \"-inf\"")]
    Float,
    #[error("__dict__ needs a list of [key, value] pairs")]
    Dict,
    #[error("__opaque__ objects cannot be read back")]
    Opaque,
}

/// Element types that are written as JSON numbers or booleans: name, `numpy.dtype.str`, bytes per
/// element.
pub(super) const DTYPES: [(&str, &str, u32); 11] = [
    ("float32", "<f4", 4),
    ("float64", "<f8", 8),
    ("int8", "|i1", 1),
    ("int16", "<i2", 2),
    ("int32", "<i4", 4),
    ("int64", "<i8", 8),
    ("uint8", "|u1", 1),
    ("uint16", "<u2", 2),
    ("uint32", "<u4", 4),
    ("uint64", "<u8", 8),
    ("bool", "|b1", 1),
];

fn known_dtypes() -> String {
    DTYPES.map(|(name, ..)| name).join(", ")
}

/// Replaces marked objects by the values that they stand for, at any depth.
pub(super) fn resolve(value: Value) -> Result<Value, MarkerError> {
    match value {
        Value::List(items) => {
            items.into_iter().map(resolve).collect::<Result<_, _>>().map(Value::List)
        }
        Value::Dict(entries) => object(entries),
        other => Ok(other),
    }
}

fn object(entries: Vec<(Value, Value)>) -> Result<Value, MarkerError> {
    let value = Value::Dict(entries);
    if value.get("__numpy__") == Some(&Value::Bool(true)) {
        return array(&value).map(Value::Array);
    }
    if let Some(opaque) = value.get("__opaque__") {
        // An ordinary dict may have this key too; a mark is the only key and holds the name of a
        // type.
        if matches!((opaque, &value), (Value::Str(_), Value::Dict(all)) if all.len() == 1) {
            return Err(MarkerError::Opaque);
        }
    }
    let only = match &value {
        Value::Dict(entries) => match entries.as_slice() {
            [(Value::Str(key), inner)] => Some((key.as_str(), inner)),
            _ => None,
        },
        _ => None,
    };
    match only {
        Some(("__bytes__", Value::Str(text))) => {
            let bytes = BASE64_STANDARD.decode(text).map_err(|_| MarkerError::Bytes)?;
            Ok(Value::Bytes(Payload::from(bytes)))
        }
        Some(("__float__", Value::Str(text))) => match text.as_str() {
            "nan" => Ok(Value::Float(f64::NAN)),
            "inf" => Ok(Value::Float(f64::INFINITY)),
            "-inf" => Ok(Value::Float(f64::NEG_INFINITY)),
            _ => Err(MarkerError::Float),
        },
        Some(("__dict__", Value::List(pairs))) => {
            let pairs: Result<_, _> = pairs.iter().map(pair).collect();
            pairs.map(Value::Dict)
        }
        _ => match value {
            Value::Dict(entries) => entries
                .into_iter()
                .map(|(key, inner)| Ok((key, resolve(inner)?)))
                .collect::<Result<_, _>>()
                .map(Value::Dict),
            other => Ok(other),
        },
    }
}

fn pair(value: &Value) -> Result<(Value, Value), MarkerError> {
    match value {
        Value::List(pair) => match pair.as_slice() {
            [key, inner] => Ok((resolve(key.clone())?, resolve(inner.clone())?)),
            _ => Err(MarkerError::Dict),
        },
        _ => Err(MarkerError::Dict),
    }
}

fn array(value: &Value) -> Result<Array, MarkerError> {
    let Some(Value::Str(dtype)) = value.get("dtype") else {
        return Err(MarkerError::Field { field: "dtype", expected: "a text such as float32" });
    };
    let plain = |descr: &str| descr.trim_start_matches(['<', '|', '=']).to_owned();
    let (name, descr, item_bytes) = DTYPES
        .into_iter()
        .find(|(name, descr, _)| name == dtype || plain(descr) == plain(dtype))
        .ok_or_else(|| MarkerError::Dtype { dtype: dtype.clone() })?;
    let mut elements = Vec::new();
    match value.get("data") {
        Some(data @ Value::List(_)) => flatten(data, &mut elements),
        _ => return Err(MarkerError::Field { field: "data", expected: "a list of numbers" }),
    }
    let count = u64::try_from(elements.len()).unwrap_or(u64::MAX);
    let shape = match value.get("shape") {
        None => vec![count],
        Some(shape) => lengths(shape)
            .ok_or(MarkerError::Field { field: "shape", expected: "a list of lengths" })?,
    };
    if shape.iter().try_fold(1_u64, |all, axis| all.checked_mul(*axis)) != Some(count) {
        return Err(MarkerError::Shape { elements: elements.len(), shape });
    }
    let mut data = Vec::with_capacity(elements.len() * 8);
    for (index, element) in elements.into_iter().enumerate() {
        push(&mut data, name, element)
            .ok_or_else(|| MarkerError::Element { index, dtype: name.to_owned() })?;
    }
    let dtype = Dtype { descr: descr.to_owned(), item_bytes };
    Ok(Array { dtype, shape, order: Order::C, scalar: false, data: Payload::from(data) })
}

/// Collects the elements of nested lists, row by row.
fn flatten<'a>(value: &'a Value, elements: &mut Vec<&'a Value>) {
    match value {
        Value::List(items) => items.iter().for_each(|item| flatten(item, elements)),
        element => elements.push(element),
    }
}

fn lengths(shape: &Value) -> Option<Vec<u64>> {
    let Value::List(axes) = shape else { return None };
    axes.iter()
        .map(|axis| match axis {
            Value::Int(length) => u64::try_from(*length).ok(),
            _ => None,
        })
        .collect()
}

/// Appends the little-endian bytes of one element; `None` when the element does not fit `dtype`.
fn push(data: &mut Vec<u8>, dtype: &str, element: &Value) -> Option<()> {
    if dtype == "bool" {
        let Value::Bool(flag) = element else { return None };
        data.push(u8::from(*flag));
        return Some(());
    }
    if dtype == "float32" || dtype == "float64" {
        let number = float(element)?;
        if dtype == "float64" {
            data.extend_from_slice(&number.to_le_bytes());
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "the input asks for float32")]
            let number = number as f32;
            data.extend_from_slice(&number.to_le_bytes());
        }
        return Some(());
    }
    let number: i128 = match element {
        Value::Int(number) => i128::from(*number),
        Value::BigInt(number) => number.to_string().parse().ok()?,
        _ => return None,
    };
    match dtype {
        "int8" => data.extend_from_slice(&i8::try_from(number).ok()?.to_le_bytes()),
        "int16" => data.extend_from_slice(&i16::try_from(number).ok()?.to_le_bytes()),
        "int32" => data.extend_from_slice(&i32::try_from(number).ok()?.to_le_bytes()),
        "int64" => data.extend_from_slice(&i64::try_from(number).ok()?.to_le_bytes()),
        "uint8" => data.extend_from_slice(&u8::try_from(number).ok()?.to_le_bytes()),
        "uint16" => data.extend_from_slice(&u16::try_from(number).ok()?.to_le_bytes()),
        "uint32" => data.extend_from_slice(&u32::try_from(number).ok()?.to_le_bytes()),
        "uint64" => data.extend_from_slice(&u64::try_from(number).ok()?.to_le_bytes()),
        _ => return None,
    }
    Some(())
}

fn float(element: &Value) -> Option<f64> {
    match element {
        Value::Float(number) => Some(*number),
        Value::Int(number) => number.to_string().parse().ok(),
        Value::BigInt(number) => number.to_string().parse().ok(),
        marked @ Value::Dict(_) => match resolve(marked.clone()) {
            Ok(Value::Float(number)) => Some(number),
            _ => None,
        },
        _ => None,
    }
}
