//! The arrays of interpreters without numpy: what stands behind `AudioView`. A view is a shape over
//! a block of memory, which may be shared with other processes; slices are further views of the same
//! block, and operators make new ones.
//!
//! Every plain dtype of numpy can be held, indexed and passed on ([`Kind`]). Arithmetic is for the six
//! that audio and video come in. What numpy can do and views cannot is
//! [`ViewError::Unsupported`], by which the worker's Python code knows that the node needs CPython.

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
    /// Python's `IndexError`.
    #[error("{0}")]
    Index(String),
    /// Python's `TypeError`.
    #[error("{0}")]
    Type(String),
    /// Python's `TypeError`, for what numpy's arrays can do and views cannot.
    #[error("{0}")]
    Unsupported(String),
    /// Python's `ValueError`.
    #[error("{0}")]
    Value(String),
    /// Python's `OverflowError`.
    #[error("{0}")]
    Overflow(String),
    /// Python's `MemoryError`.
    #[error("{0}")]
    Memory(String),
}

#[cfg(test)]
mod tests;
