//! Arrays in numpy's sense: a dtype, a shape, a memory order and the data. The codec has their form
//! in a message.

mod check;
mod element;
mod owned;
mod payload;
mod placed;

pub use check::ArrayError;
pub use element::{Element, Elements};
pub use owned::{OwnMemory, Owned};
pub(crate) use payload::Storage;
pub use payload::{Payload, PayloadMemory};
pub use placed::{LeaseTerms, Placed};

/// An n-dimensional array whose data is contiguous in its memory order. Clones share the data.
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
    /// The elements: `product(shape) * dtype.item_bytes` bytes.
    pub data: Payload,
}

/// Type of an array's elements, as numpy writes it.
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
