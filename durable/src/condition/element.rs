//! Looks into arrays of numpy for the numbers and texts in them. Pure.

use std::borrow::Cow;

use bytes::Bytes;
use ipc_protocol::Value;
use ipc_protocol::array::{Array, Dtype, Order, Payload};
use num_bigint::BigInt;

/// The value itself, or what a scalar of numpy or an array without axes holds.
pub(super) fn plain(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::Array(array) if array.shape.is_empty() => {
            read(&array.dtype, array.data.as_slice()).map_or(Cow::Borrowed(value), Cow::Owned)
        }
        _ => Cow::Borrowed(value),
    }
}

/// All elements, in memory order.
pub(super) fn elements(array: &Array) -> Option<Vec<Value>> {
    chunks(array).map(|element| read(&array.dtype, element)).collect()
}

/// The part of an array at an index of its first axis.
pub(super) fn at(array: &Array, index: usize) -> Option<Value> {
    let (first, rest) = array.shape.split_first()?;
    let count = usize::try_from(*first).ok().filter(|count| index < *count)?;
    let size = array.len_elements() / count;
    let data: Vec<u8> = match array.order {
        Order::C => chunks(array).skip(index * size).take(size).flatten().copied().collect(),
        Order::Fortran => chunks(array).skip(index).step_by(count).flatten().copied().collect(),
    };
    if rest.is_empty() {
        return read(&array.dtype, &data);
    }
    let data = Payload::from(Bytes::from(data));
    Some(Value::Array(Array { shape: rest.to_vec(), data, ..array.clone() }))
}

fn chunks(array: &Array) -> impl Iterator<Item = &[u8]> {
    let size = usize::try_from(array.dtype.item_bytes).unwrap_or(1).max(1);
    array.data.as_slice().chunks_exact(size)
}

/// One element; `None` for dtypes that are neither numbers, truths nor texts.
fn read(dtype: &Dtype, element: &[u8]) -> Option<Value> {
    let [order, kind, ..] = dtype.descr.as_bytes() else { return None };
    let mut bytes = element.to_vec();
    let unit = if *kind == b'U' { 4 } else { bytes.len().max(1) };
    if *order == b'>' {
        bytes.chunks_mut(unit).for_each(<[u8]>::reverse);
    }
    match kind {
        b'b' => Some(Value::Bool(*bytes.first()? != 0)),
        b'i' | b'u' if bytes.len() <= 8 => {
            let is_negative = *kind == b'i' && bytes.last()? >> 7 == 1;
            bytes.resize(16, if is_negative { 0xff } else { 0 });
            let number = i128::from_le_bytes(bytes.try_into().ok()?);
            let small = i64::try_from(number).map(Value::Int);
            Some(small.unwrap_or_else(|_large| Value::BigInt(BigInt::from(number))))
        }
        b'f' => match bytes.len() {
            2 => Some(Value::Float(half(u16::from_le_bytes(bytes.try_into().ok()?)))),
            4 => Some(Value::Float(f32::from_le_bytes(bytes.try_into().ok()?).into())),
            8 => Some(Value::Float(f64::from_le_bytes(bytes.try_into().ok()?))),
            _ => None,
        },
        b'U' => {
            let letters = bytes.chunks_exact(4).map(|unit| {
                let code = u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]);
                char::from_u32(code)
            });
            let text: Option<String> = letters.collect();
            Some(Value::Str(text?.trim_end_matches('\0').to_owned()))
        }
        _ => None,
    }
}

/// A number of 16 bits: a sign, 5 bits of exponent, 10 of the fraction.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2_f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(descr: &str, data: &[u8], shape: &[u64]) -> Array {
        let count = usize::try_from(shape.iter().product::<u64>()).unwrap();
        let item_bytes = u32::try_from(data.len() / count).unwrap();
        let data = Payload::from(Bytes::from(data.to_vec()));
        let dtype = Dtype { descr: descr.to_owned(), item_bytes };
        Array { dtype, shape: shape.to_vec(), order: Order::C, scalar: shape.is_empty(), data }
    }

    fn scalar(descr: &str, data: &[u8]) -> Value {
        plain(&Value::Array(array(descr, data, &[]))).into_owned()
    }

    #[test]
    fn scalars_of_numpy_are_what_they_hold() {
        // spec: CLO-13
        assert_eq!(scalar("|b1", &[1]), Value::Bool(true));
        assert_eq!(scalar("|i1", &[0xfe]), Value::Int(-2));
        assert_eq!(scalar(">i2", &[0xff, 0xfd]), Value::Int(-3));
        assert_eq!(scalar("<u8", &[0xff; 8]), Value::BigInt(BigInt::from(u64::MAX)));
        assert_eq!(scalar("<f2", &[0x00, 0xc5]), Value::Float(-5.0));
        assert_eq!(scalar("<f2", &[0x01, 0x00]), Value::Float(2_f64.powi(-24)));
        assert_eq!(scalar("<f2", &[0x00, 0x7c]), Value::Float(f64::INFINITY));
        assert_eq!(scalar(">f4", &0.5_f32.to_be_bytes()), Value::Float(0.5));
        assert_eq!(scalar("<f8", &0.7_f64.to_le_bytes()), Value::Float(0.7));
        let text = [b'a', 0, 0, 0, 0xe9, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(scalar("<U3", &text), Value::from("aé"));
        assert!(matches!(scalar("<M8[s]", &[0; 8]), Value::Array(_)));
    }

    #[test]
    fn indices_reach_into_arrays_of_both_orders() {
        // spec: CLO-13
        let rows = array("|u1", &[1, 2, 3, 4, 5, 6], &[2, 3]);
        let columns = Array { order: Order::Fortran, ..array("|u1", &[1, 4, 2, 5, 3, 6], &[2, 3]) };
        for whole in [rows, columns] {
            let Some(Value::Array(second)) = at(&whole, 1) else { panic!("no row") };
            assert_eq!(at(&second, 2), Some(Value::Int(6)));
            assert_eq!(at(&second, 3), None);
            assert_eq!(at(&whole, 2), None);
        }
    }
}
