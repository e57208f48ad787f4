//! Arrays for interpreters without numpy: the implementation of the Python class `AudioView`. A
//! [`View`] is a [`Layout`] over a [`Block`] of memory, which may be shared with other processes.
//! Slices are further views of the same block; operators, reductions and the functions of this
//! module compute new blocks or write to existing ones.
//!
//! Views can hold, index and pass on every plain dtype of numpy ([`Kind`]). They compute with six
//! dtypes only, those that are usual for audio and video. An operation that numpy has and views
//! lack fails with [`ViewError::Unsupported`]; the worker's Python code then moves the node to
//! CPython.

mod block;
mod evaluate;
mod gain;
mod index;
mod kind;
mod layout;
mod loops;
mod number;
mod operate;
mod operator;
mod reduce;
mod rows;
mod select;
mod supply;
mod typed;
mod view;
mod write;

pub use block::Block;
pub use gain::{mix, scale};
pub use index::{Index, Mask};
pub use kind::Kind;
pub use layout::Layout;
pub use number::Number;
pub use operate::clip;
pub use operator::{Operand, Operator, Unary};
pub use reduce::{Reduction, peak, rms};
pub use supply::Supply;
pub use view::View;
pub use write::{assign, cast, concatenate, fill, set_number};

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
