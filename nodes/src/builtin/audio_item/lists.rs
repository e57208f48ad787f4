//! Audio as lists of numbers, which is how JSON holds it.

use ipc_protocol::{Array, Order, Value};
use num_traits::ToPrimitive;

use super::{DataForm, brief, mismatch};
use crate::builtin::samples::{self, Element};
use crate::error::{NodeError, NodeErrorKind};

const NUMBERS: &str = "'data' to be a list of numbers, or one list of numbers per channel";

/// The element type that the dict's `format` names.
pub(super) fn format(value: Option<&Value>) -> Result<Element, NodeError> {
    let known = match value {
        None | Some(Value::None) => Some(Element::F32),
        Some(Value::Str(name)) => match name.to_ascii_lowercase().as_str() {
            "f32" => Some(Element::F32),
            "i16" => Some(Element::I16),
            "i32" => Some(Element::I32),
            _ => None,
        },
        Some(_) => None,
    };
    known.ok_or_else(|| {
        NodeErrorKind::BadValue {
            what: "'format'",
            expected: "f32, i16 or i32".to_owned(),
            got: value.map(brief).unwrap_or_default(),
        }
        .into()
    })
}

pub(super) fn format_name(array: &Array) -> &'static str {
    match Element::of(array) {
        Ok((Element::I16, _)) => "i16",
        Ok((Element::I32, _)) => "i32",
        _ => "f32",
    }
}

pub(super) fn read(
    items: &[Value],
    channels: usize,
    element: Element,
) -> Result<(Array, DataForm), NodeError> {
    if let [Value::List(first), ..] = items {
        let mut all = Vec::new();
        for item in items {
            let Value::List(plane) = item else { return Err(mismatch(NUMBERS, item)) };
            if plane.len() != first.len() {
                return Err(NodeErrorKind::BadValue {
                    what: "'data'",
                    expected: format!("channels of equal length ({} numbers)", first.len()),
                    got: format!("one of {} numbers", plane.len()),
                }
                .into());
            }
            for number in plane {
                all.push(float(number)?);
            }
        }
        let shape = vec![items.len() as u64, first.len() as u64];
        return Ok((array(all, element, shape, Order::C), DataForm::Nested));
    }
    let all = items.iter().map(float).collect::<Result<Vec<f64>, _>>()?;
    if all.len() % channels != 0 {
        return Err(NodeErrorKind::BadValue {
            what: "'data'",
            expected: format!("a multiple of {channels} numbers (channels interleaved)"),
            got: format!("{} numbers", all.len()),
        }
        .into());
    }
    let shape = match channels {
        1 => vec![all.len() as u64],
        // Interleaved samples are a (channels, samples) array in Fortran order.
        _ => vec![channels as u64, (all.len() / channels) as u64],
    };
    Ok((array(all, element, shape, Order::Fortran), DataForm::Flat))
}

fn float(value: &Value) -> Result<f64, NodeError> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(number.to_f64().unwrap_or_default()),
        Value::BigInt(number) => Ok(number.to_f64().unwrap_or_default()),
        other => Err(mismatch(NUMBERS, other)),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` rounds to f32 and saturates ints")]
fn array(all: Vec<f64>, element: Element, shape: Vec<u64>, order: Order) -> Array {
    match element {
        Element::I16 => {
            let all: Vec<i16> = all.into_iter().map(|x| x as i16).collect();
            samples::array_of(all, element, shape, order)
        }
        Element::I32 => {
            let all: Vec<i32> = all.into_iter().map(|x| x as i32).collect();
            samples::array_of(all, element, shape, order)
        }
        Element::F32 | Element::F64 => {
            let all: Vec<f32> = all.into_iter().map(|x| x as f32).collect();
            samples::array_of(all, Element::F32, shape, order)
        }
    }
}

/// Converts an array to the form of the input's `data`. An array that does not hold PCM samples
/// stays an array.
pub(super) fn write(array: Array, form: DataForm) -> Value {
    let Some(numbers) = numbers(&array).filter(|_| form != DataForm::Array) else {
        return Value::Array(array);
    };
    let channels = match *array.shape.as_slice() {
        [channels, _] => usize::try_from(channels).unwrap_or(1).max(1),
        _ => 1,
    };
    let per_channel = (numbers.len() / channels).max(1);
    let is_planar = array.order == Order::C;
    match form {
        DataForm::Nested if numbers.is_empty() => {
            Value::List(vec![Value::List(Vec::new()); channels])
        }
        DataForm::Nested => {
            Value::List(numbers.chunks(per_channel).map(|c| Value::List(c.to_vec())).collect())
        }
        _ if is_planar && channels > 1 => {
            Value::List(samples::planar(&numbers, per_channel).into_owned())
        }
        _ => Value::List(numbers),
    }
}

fn numbers(array: &Array) -> Option<Vec<Value>> {
    let (element, swapped) = Element::of(array).ok()?;
    Some(match element {
        Element::F32 => values(&samples::elements::<f32>(array, swapped).ok()?, f64::from),
        Element::F64 => values(&samples::elements::<f64>(array, swapped).ok()?, |x| x),
        Element::I16 => values(&samples::elements::<i16>(array, swapped).ok()?, i64::from),
        Element::I32 => values(&samples::elements::<i32>(array, swapped).ok()?, i64::from),
    })
}

fn values<T: Copy, N: Into<Value>>(elements: &[T], number: impl Fn(T) -> N) -> Vec<Value> {
    elements.iter().map(|&element| number(element).into()).collect()
}
