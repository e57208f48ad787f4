//! `array + number` and `array * number` with numpy's rules (version 2): a Python int keeps the
//! array's dtype and wraps around as numpy does, a Python float keeps a float dtype and makes
//! float64 of an integer one. The result is in this machine's byte order.

use ipc_protocol::{Array, Dtype};
use num_bigint::BigInt;
use num_traits::{AsPrimitive, ToPrimitive, WrappingAdd, WrappingMul};

use super::samples;
use crate::error::{NodeError, NodeErrorKind};
use crate::params::Number;

/// The operations that arrays support.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArrayOperation {
    Add,
    Multiply,
}

/// Applies the operation to every element.
///
/// # Errors
/// The dtype is not a plain number, or the int does not fit into an element.
pub(crate) fn apply(
    operation: ArrayOperation,
    array: &Array,
    number: &Number,
) -> Result<Array, NodeError> {
    let descr = array.dtype.descr.as_str();
    let swapped = match descr.get(..1) {
        Some("<" | ">") => !descr.starts_with(samples::native_order()),
        _ => false,
    };
    let work = Work { operation, array, number, swapped };
    match descr.get(1..) {
        Some("f4") => work.single(),
        Some("f8") => work.double(),
        Some("i1") => work.ints::<i8>(),
        Some("i2") => work.ints::<i16>(),
        Some("i4") => work.ints::<i32>(),
        Some("i8") => work.ints::<i64>(),
        Some("u1") => work.ints::<u8>(),
        Some("u2") => work.ints::<u16>(),
        Some("u4") => work.ints::<u32>(),
        Some("u8") => work.ints::<u64>(),
        _ => Err(NodeErrorKind::UnsupportedDtype {
            dtype: samples::dtype_name(descr),
            supported: "float32, float64, int8 to int64, uint8 to uint64",
        }
        .into()),
    }
}

struct Work<'a> {
    operation: ArrayOperation,
    array: &'a Array,
    number: &'a Number,
    swapped: bool,
}

impl Work<'_> {
    fn single(&self) -> Result<Array, NodeError> {
        #[expect(clippy::cast_possible_truncation, reason = "numpy rounds the number to float32")]
        let number = float(self.number)? as f32;
        let add = self.operation == ArrayOperation::Add;
        self.map(|x: f32| if add { x + number } else { x * number }, &self.array.dtype)
    }

    fn double(&self) -> Result<Array, NodeError> {
        let number = float(self.number)?;
        let add = self.operation == ArrayOperation::Add;
        self.map(|x: f64| if add { x + number } else { x * number }, &self.array.dtype)
    }

    fn ints<T>(&self) -> Result<Array, NodeError>
    where
        T: bytemuck::Pod
            + Send
            + Sync
            + WrappingAdd
            + WrappingMul
            + TryFrom<BigInt>
            + AsPrimitive<f64>,
    {
        let add = self.operation == ArrayOperation::Add;
        match self.number {
            Number::Int(int) => {
                let number = T::try_from(int.clone()).map_err(|_| NodeErrorKind::OutOfBounds {
                    value: int.to_string(),
                    dtype: samples::dtype_name(&self.array.dtype.descr),
                })?;
                let op = |x: T| if add { x.wrapping_add(&number) } else { x.wrapping_mul(&number) };
                self.map(op, &self.array.dtype)
            }
            Number::Float(number) => {
                let op = |x: T| if add { x.as_() + number } else { x.as_() * number };
                self.map(op, &samples::Element::F64.dtype())
            }
        }
    }

    fn map<T: bytemuck::Pod, U: bytemuck::Pod + Send + Sync>(
        &self,
        op: impl Fn(T) -> U,
        dtype: &Dtype,
    ) -> Result<Array, NodeError> {
        let elements = samples::elements::<T>(self.array, self.swapped)?;
        let data = samples::payload_of(elements.iter().map(|&x| op(x)).collect::<Vec<U>>());
        let mut dtype = dtype.clone();
        if dtype.descr.starts_with(['<', '>']) {
            dtype.descr.replace_range(..1, samples::native_order());
        }
        Ok(Array { dtype, data, ..self.array.clone() })
    }
}

fn float(number: &Number) -> Result<f64, NodeError> {
    match number {
        Number::Float(float) => Ok(*float),
        Number::Int(int) => int
            .to_f64()
            .filter(|float| float.is_finite())
            .ok_or_else(|| NodeErrorKind::FloatOverflow { operation: "converting an int" }.into()),
    }
}
