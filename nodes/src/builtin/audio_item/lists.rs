//! Audio as lists of numbers, which is how JSON holds it.

use ipc_protocol::{Array, Dtype, Order, Value};
use num_traits::ToPrimitive;

use super::{DataForm, brief, mismatch};
use crate::builtin::samples::{self, Element};
use crate::error::{NodeError, NodeErrorKind};
use crate::pcm::Encoding;

const NUMBERS: &str = "'data' to be a list of numbers, or one list of numbers per channel";

/// The format that the dict's `format` names.
pub(super) fn format(value: Option<&Value>) -> Result<Encoding, NodeError> {
    let known = match value {
        None | Some(Value::None) => Some(Encoding::F32),
        Some(Value::Str(name)) => Encoding::from_name(name),
        Some(_) => None,
    };
    known.ok_or_else(|| {
        NodeErrorKind::BadValue {
            what: "'format'",
            expected: format!("one of {}", Encoding::NAMES.join(", ")),
            got: value.map(brief).unwrap_or_default(),
        }
        .into()
    })
}

pub(super) fn format_name(array: &Array) -> &'static str {
    Element::of(array).map_or("f32", |(element, _)| element.encoding().name())
}

pub(super) fn read(
    items: &[Value],
    channels: usize,
    format: Encoding,
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
        return Ok((array(all, format, shape, Order::C), DataForm::Nested));
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
    Ok((array(all, format, shape, Order::Fortran), DataForm::Flat))
}

fn float(value: &Value) -> Result<f64, NodeError> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(number.to_f64().unwrap_or_default()),
        Value::BigInt(number) => Ok(number.to_f64().unwrap_or_default()),
        other => Err(mismatch(NUMBERS, other)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` rounds to f32 and saturates ints"
)]
fn array(all: Vec<f64>, format: Encoding, shape: Vec<u64>, order: Order) -> Array {
    let of = |element: Element, data| Array {
        dtype: element.dtype(),
        shape: shape.clone(),
        order,
        scalar: false,
        data,
    };
    let numbers = all.into_iter();
    match format {
        Encoding::I16 => {
            of(Element::I16, samples::payload_of(numbers.map(|x| x as i16).collect::<Vec<_>>()))
        }
        Encoding::I32 => {
            of(Element::I32, samples::payload_of(numbers.map(|x| x as i32).collect::<Vec<_>>()))
        }
        Encoding::F32 => {
            of(Element::F32, samples::payload_of(numbers.map(|x| x as f32).collect::<Vec<_>>()))
        }
        Encoding::F64 => of(Element::F64, samples::payload_of(numbers.collect::<Vec<_>>())),
        Encoding::U8 | Encoding::I24 | Encoding::ALaw | Encoding::MuLaw => Array {
            dtype: Dtype { descr: "|u1".to_owned(), item_bytes: 1 },
            shape,
            order,
            scalar: false,
            data: samples::payload_of(numbers.map(|x| x as u8).collect::<Vec<_>>()),
        },
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
    if array.dtype.descr == "|u1" {
        return Some(values(&samples::elements::<u8>(array, false).ok()?, i64::from));
    }
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
