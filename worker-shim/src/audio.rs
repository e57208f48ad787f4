//! Arrays for interpreters without numpy: the implementation of the Python class `AudioView`. A
//! view is a shape over a block of memory, which may be shared with other processes. Slices are
//! further views of the same block; operators make new blocks.
//!
//! Views can hold, index and pass on every plain dtype of numpy ([`Kind`]). They compute with six
//! dtypes only, those that are usual for audio and video. An operation that numpy has and views
//! lack fails with [`ViewError::Unsupported`]; the worker's Python code then moves the node to
//! CPython.

mod assign;
mod block;
mod bulk;
mod element;
mod index;
mod layout;
mod numeric;
mod operate;
mod operator;
mod reduce;
mod rows;
mod select;
mod supply;
mod typed;
mod view;

pub use block::Block;
pub use element::{Kind, Number};
pub use index::Index;
pub use operator::{Operand, Operator, Unary};
pub use reduce::{Along, Reduction};
pub use select::Found;
pub use supply::Supply;
pub use view::View;

use thiserror::Error;

/// Why an operation on a view is not possible.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ViewError {
    /// Raised as Python's `IndexError`.
    #[error("{0}")]
    Index(String),
    /// Raised as Python's `TypeError`.
    #[error("{0}")]
    Type(String),
    /// Raised as Python's `TypeError`, for an operation that numpy's arrays have and views lack.
    #[error("{0}")]
    Unsupported(String),
    /// Raised as Python's `ValueError`.
    #[error("{0}")]
    Value(String),
    /// Raised as Python's `OverflowError`.
    #[error("{0}")]
    Overflow(String),
    /// Raised as Python's `MemoryError`.
    #[error("{0}")]
    Memory(String),
}

#[cfg(test)]
mod tests;
