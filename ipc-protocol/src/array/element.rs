//! Conversion of arrays from and to Rust's number types.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use bytemuck::Pod;
use bytes::Bytes;

use super::{Array, ArrayError, Dtype, Order, Owned, Payload};

/// A number type that both numpy and Rust have. Other crates cannot implement it.
pub trait Element: Pod + Send + Sync + fmt::Debug + sealed::Sealed {
    /// numpy's letter for the kind of number: `f` float, `i` signed, `u` unsigned.
    const KIND: char;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! elements {
    ($($kind:literal: $($number:ty),+;)+) => {$($(
        impl sealed::Sealed for $number {}
        impl Element for $number {
            const KIND: char = $kind;
        }
    )+)+};
}

elements! {
    'f': f32, f64;
    'i': i8, i16, i32, i64;
    'u': u8, u16, u32, u64;
}

/// The elements of a new array: a vector of numbers, whose memory the array takes over, or bytes
/// that hold such numbers in this machine's byte order.
#[derive(Debug, Clone)]
pub struct Elements<T> {
    data: Payload,
    kind: PhantomData<T>,
}

impl<T: Element> From<Vec<T>> for Elements<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self { data: Owned::new(numbers).into(), kind: PhantomData }
    }
}

impl<T: Element> From<Bytes> for Elements<T> {
    fn from(bytes: Bytes) -> Self {
        Self { data: bytes.into(), kind: PhantomData }
    }
}

impl Dtype {
    /// The dtype of a Rust number in this machine's byte order.
    #[must_use]
    pub fn of<T: Element>() -> Self {
        Self::with_order::<T>(cfg!(target_endian = "big"))
    }

    /// The dtype float32, that of audio samples.
    #[must_use]
    pub fn f32() -> Self {
        Self::of::<f32>()
    }

    /// The dtype float64.
    #[must_use]
    pub fn f64() -> Self {
        Self::of::<f64>()
    }

    /// The dtype int16, that of samples in most audio files.
    #[must_use]
    pub fn i16() -> Self {
        Self::of::<i16>()
    }

    /// The dtype int32.
    #[must_use]
    pub fn i32() -> Self {
        Self::of::<i32>()
    }

    /// True for the dtype of this number type, in either byte order.
    #[must_use]
    pub fn is<T: Element>(&self) -> bool {
        self.order_of::<T>().is_some()
    }

    fn with_order<T: Element>(is_big_endian: bool) -> Self {
        let byte_order = match (size_of::<T>(), is_big_endian) {
            (1, _) => '|',
            (_, true) => '>',
            (_, false) => '<',
        };
        let descr = format!("{byte_order}{}{}", T::KIND, size_of::<T>());
        Self { descr, item_bytes: size_of::<T>().try_into().unwrap_or(u32::MAX) }
    }

    /// Whether the dtype has this machine's byte order; `None` when it is not that of `T`.
    fn order_of<T: Element>(&self) -> Option<bool> {
        let [order, kind, size @ ..] = self.descr.as_bytes() else { return None };
        let is_native = match order {
            b'<' => cfg!(target_endian = "little"),
            b'>' => cfg!(target_endian = "big"),
            b'|' => size_of::<T>() == 1,
            _ => return None,
        };
        let size: usize = std::str::from_utf8(size).ok()?.parse().ok()?;
        let is_same = char::from(*kind) == T::KIND && size == size_of::<T>();
        is_same.then_some(is_native || size == 1)
    }
}

impl Array {
    /// An array of these parts, after a check that they agree.
    ///
    /// # Errors
    ///
    /// [`ArrayError`] when dtype, shape and data do not agree.
    pub fn new(
        dtype: Dtype,
        shape: impl Into<Vec<u64>>,
        order: Order,
        data: impl Into<Payload>,
    ) -> Result<Self, ArrayError> {
        let array = Self { dtype, shape: shape.into(), order, scalar: false, data: data.into() };
        array.check()?;
        Ok(array)
    }

    /// An array of numbers in C order.
    ///
    /// # Errors
    ///
    /// [`ArrayError`] when the number of elements differs from that of the shape.
    pub fn from_elements<T: Element>(
        elements: impl Into<Elements<T>>,
        shape: impl Into<Vec<u64>>,
    ) -> Result<Self, ArrayError> {
        Self::new(Dtype::of::<T>(), shape, Order::C, elements.into().data)
    }

    /// A float32 array in C order.
    ///
    /// # Errors
    ///
    /// [`ArrayError`] when the number of elements differs from that of the shape.
    pub fn from_f32(
        elements: impl Into<Elements<f32>>,
        shape: impl Into<Vec<u64>>,
    ) -> Result<Self, ArrayError> {
        Self::from_elements(elements, shape)
    }

    /// A float64 array in C order.
    ///
    /// # Errors
    ///
    /// [`ArrayError`] when the number of elements differs from that of the shape.
    pub fn from_f64(
        elements: impl Into<Elements<f64>>,
        shape: impl Into<Vec<u64>>,
    ) -> Result<Self, ArrayError> {
        Self::from_elements(elements, shape)
    }

    /// An int16 array in C order.
    ///
    /// # Errors
    ///
    /// [`ArrayError`] when the number of elements differs from that of the shape.
    pub fn from_i16(
        elements: impl Into<Elements<i16>>,
        shape: impl Into<Vec<u64>>,
    ) -> Result<Self, ArrayError> {
        Self::from_elements(elements, shape)
    }

    /// An int32 array in C order.
    ///
    /// # Errors
    ///
    /// [`ArrayError`] when the number of elements differs from that of the shape.
    pub fn from_i32(
        elements: impl Into<Elements<i32>>,
        shape: impl Into<Vec<u64>>,
    ) -> Result<Self, ArrayError> {
        Self::from_elements(elements, shape)
    }

    /// Number of elements: the product of the shape, 1 for a 0-d array.
    #[must_use]
    pub fn len_elements(&self) -> usize {
        usize::try_from(self.dtype.item_bytes)
            .ok()
            .and_then(|n| self.data.len().checked_div(n))
            .unwrap_or(0)
    }

    /// The elements in memory order (see [`Array::order`]); `None` when the array's dtype is not
    /// that of `T`. Borrowed when the data is aligned and in this machine's byte order, else
    /// converted.
    #[must_use]
    pub fn as_elements<T: Element>(&self) -> Option<Cow<'_, [T]>> {
        let is_native = self.dtype.order_of::<T>()?;
        let bytes = self.data.as_slice();
        if is_native && let Ok(numbers) = bytemuck::try_cast_slice(bytes) {
            return Some(Cow::Borrowed(numbers));
        }
        let read = |chunk: &[u8]| -> T {
            let mut number = T::zeroed();
            bytemuck::bytes_of_mut(&mut number).copy_from_slice(chunk);
            if !is_native {
                bytemuck::bytes_of_mut(&mut number).reverse();
            }
            number
        };
        Some(Cow::Owned(bytes.chunks_exact(size_of::<T>()).map(read).collect()))
    }

    /// The elements of a float32 array, as [`Array::as_elements`].
    #[must_use]
    pub fn as_f32(&self) -> Option<Cow<'_, [f32]>> {
        self.as_elements()
    }

    /// The elements of a float64 array, as [`Array::as_elements`].
    #[must_use]
    pub fn as_f64(&self) -> Option<Cow<'_, [f64]>> {
        self.as_elements()
    }

    /// The elements of an int16 array, as [`Array::as_elements`].
    #[must_use]
    pub fn as_i16(&self) -> Option<Cow<'_, [i16]>> {
        self.as_elements()
    }

    /// The elements of an int32 array, as [`Array::as_elements`].
    #[must_use]
    pub fn as_i32(&self) -> Option<Cow<'_, [i32]>> {
        self.as_elements()
    }
}
