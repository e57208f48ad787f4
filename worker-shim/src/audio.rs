//! Arrays of plain numbers for interpreters without numpy: what stands behind `AudioView`, whatever
//! interpreter shows it. A view is a shape over a block of memory, which may be shared with other
//! processes; slicing gives further views, and only what makes new numbers copies.
//!
//! Errors are data; an interpreter makes its own exceptions of them.

mod assign;
mod bits;
mod block;
mod bulk;
mod element;
mod growing;
mod in_place;
mod index;
mod lanes;
mod layout;
mod operate;
mod operator;
mod parts;
mod promote;
mod reduce;
mod rows;
mod select;
mod supply;
mod typed;
mod unary;
mod view;
mod widened;

pub use block::Block;
pub use element::{Kind, Number};
pub use growing::Growing;
pub use index::Index;
pub use operator::{Operand, Operator};
pub use reduce::{Along, Reduction};
pub use select::{Found, Part};
pub use supply::Supply;
pub use unary::Unary;
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
