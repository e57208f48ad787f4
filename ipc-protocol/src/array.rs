//! Arrays as numpy means them: a dtype, a shape, an order and the memory behind them. What they
//! look like in a message is the codec's business.

mod check;
mod element;

use std::fmt;

use bytes::Bytes;

pub use check::ArrayError;
pub use element::{Element, Elements};

/// An n-dimensional array, contiguous in its order. Cloning shares the memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Type of one element.
    pub dtype: Dtype,
    /// Length of each axis; empty for a 0-d array.
    pub shape: Vec<u64>,
    /// Memory order of the axes.
    pub order: Order,
    /// True for a numpy scalar such as `np.float32(3)`; the shape is then empty.
    pub scalar: bool,
    /// `product(shape) * dtype.item_bytes` bytes.
    pub data: Payload,
}

/// Type of an array's elements, in numpy's own words.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dtype {
    /// `numpy.dtype.str` for plain types (`<f4`, `|b1`, `<M8[ns]`); for structured types the
    /// Python literal that `numpy.lib.format.dtype_to_descr` gives, as text.
    pub descr: String,
    /// Size of one element in bytes.
    pub item_bytes: u32,
}

/// Memory order of an array's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Row-major: the last axis varies fastest.
    C,
    /// Column-major: the first axis varies fastest.
    Fortran,
}

/// Immutable memory that a value refers to: bytes in this process, whoever owns them.
///
/// Inside an encoded message a payload is the number of a blob that follows the message's body;
/// the codec makes and resolves those numbers, nobody else sees them.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(pub(crate) Place);

/// Bytes that a payload's `Debug` shows: enough to tell payloads apart, not enough to fill a log.
const DEBUG_BYTES: usize = 24;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Index into the blobs of the frame that carries the message.
    Blob(u32),
    /// Bytes in this process.
    Memory(Bytes),
}

impl Payload {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Place::Memory(bytes) => bytes,
            Place::Blob(_) => &[],
        }
    }

    /// The bytes as a shared handle that keeps their owner alive.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Place::Memory(bytes) => bytes.clone(),
            Place::Blob(_) => Bytes::new(),
        }
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// True when there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.as_slice();
        write!(formatter, "{} bytes", bytes.len())?;
        let shown = &bytes[..bytes.len().min(DEBUG_BYTES)];
        shown.iter().try_for_each(|byte| write!(formatter, " {byte:02x}"))?;
        if shown.len() < bytes.len() { formatter.write_str(" ...") } else { Ok(()) }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self(Place::Memory(bytes))
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Place::Memory(bytes.into()))
    }
}

impl From<&'static [u8]> for Payload {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Place::Memory(Bytes::from_static(bytes)))
    }
}
