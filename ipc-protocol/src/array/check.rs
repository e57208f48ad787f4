//! Checks that dtype, element size, shape and length of the data of an array agree.

use thiserror::Error;

use super::{Array, Dtype};
use crate::limits::MAX_AXES;

/// Why the dtype, shape and data of an array do not agree, or why the array cannot travel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArrayError {
    /// The dtype is neither a plain numpy typestring nor the literal of a structured type.
    #[error("{descr:?} is not a numpy dtype")]
    UnknownDtype {
        /// The dtype as given.
        descr: String,
    },
    /// The elements are references to Python objects, which mean nothing in another process.
    #[error("dtype {descr:?} holds Python objects, which cannot leave their process")]
    ObjectDtype {
        /// The dtype as given.
        descr: String,
    },
    /// The element size is zero or differs from that of the dtype.
    #[error("dtype {descr:?} does not have elements of {item_bytes} bytes")]
    ItemBytes {
        /// The dtype as given.
        descr: String,
        /// The size as given, in bytes.
        item_bytes: u32,
    },
    /// The array has more axes than numpy allows.
    #[error("an array of {axes} axes exceeds the limit of {MAX_AXES} axes")]
    TooManyAxes {
        /// Number of axes.
        axes: usize,
    },
    /// The array is marked as a numpy scalar, but has axes.
    #[error("a numpy scalar cannot have axes, but the shape is {shape:?}")]
    ScalarShape {
        /// Length of each axis.
        shape: Vec<u64>,
    },
    /// The array does not fit the address space (an axis of length 0 counts as 1, as in numpy).
    #[error("an array of shape {shape:?} with elements of {item_bytes} bytes is too large")]
    TooLarge {
        /// Length of each axis.
        shape: Vec<u64>,
        /// Size of one element, in bytes.
        item_bytes: u32,
    },
    /// The length of the data differs from what shape and element size require.
    #[error("shape {shape:?} needs {expected} bytes of data, not {found}")]
    DataLength {
        /// Length of each axis.
        shape: Vec<u64>,
        /// Length that shape and element size require, in bytes.
        expected: u64,
        /// Length of the data, in bytes.
        found: u64,
    },
}

impl Array {
    /// Checks that dtype, shape and data agree, for arrays of any origin.
    ///
    /// # Errors
    ///
    /// [`ArrayError`] for the first rule that is broken.
    pub fn check(&self) -> Result<(), ArrayError> {
        self.dtype.check()?;
        let shape = &self.shape;
        if shape.len() > MAX_AXES {
            return Err(ArrayError::TooManyAxes { axes: shape.len() });
        }
        if self.scalar && !shape.is_empty() {
            return Err(ArrayError::ScalarShape { shape: shape.clone() });
        }
        let item_bytes = self.dtype.item_bytes;
        let bound =
            shape.iter().try_fold(u64::from(item_bytes), |n, axis| n.checked_mul((*axis).max(1)));
        let Some(bound) = bound.filter(|bytes| isize::try_from(*bytes).is_ok()) else {
            return Err(ArrayError::TooLarge { shape: shape.clone(), item_bytes });
        };
        let expected = if shape.contains(&0) { 0 } else { bound };
        let found = self.data.len() as u64;
        if found != expected {
            return Err(ArrayError::DataLength { shape: shape.clone(), expected, found });
        }
        Ok(())
    }
}

impl Dtype {
    /// Checks that the type is known, can leave the process, and has elements of `item_bytes`.
    ///
    /// # Errors
    ///
    /// [`ArrayError::UnknownDtype`], [`ArrayError::ObjectDtype`] or [`ArrayError::ItemBytes`].
    pub fn check(&self) -> Result<(), ArrayError> {
        let descr = &self.descr;
        if holds_objects(descr) {
            return Err(ArrayError::ObjectDtype { descr: descr.clone() });
        }
        let fits = if is_structured(descr) {
            self.item_bytes > 0
        } else {
            let size = plain_item_bytes(descr)
                .ok_or_else(|| ArrayError::UnknownDtype { descr: descr.clone() })?;
            size == u64::from(self.item_bytes) && size > 0
        };
        if fits {
            return Ok(());
        }
        Err(ArrayError::ItemBytes { descr: descr.clone(), item_bytes: self.item_bytes })
    }
}

/// Whether the dtype is a list literal of fields, as `numpy.lib.format.dtype_to_descr` writes it.
fn is_structured(descr: &str) -> bool {
    descr.starts_with('[') && descr.ends_with(']')
}

/// Whether the dtype is that of objects, or a field's is. A field with such a name is refused too.
fn holds_objects(descr: &str) -> bool {
    let is_object = |text: &str| matches!(text, "O" | "|O" | "|O8" | "|O4" | "<O" | ">O" | "=O");
    if is_structured(descr) { descr.split(['\'', '"']).any(is_object) } else { is_object(descr) }
}

/// Element size of a plain dtype such as `<f4`, `|S5` or `<M8[ns]`, in bytes; `None` for other
/// strings.
fn plain_item_bytes(descr: &str) -> Option<u64> {
    let mut chars = descr.chars();
    let byte_order = chars.next().filter(|c| matches!(c, '<' | '>' | '|'))?;
    let kind = chars.next()?;
    let rest = chars.as_str();
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (count, unit) = rest.split_at(digits);
    let count: u64 = count.parse::<u32>().ok()?.into();
    let is_time_unit = unit.len() > 2 && unit.starts_with('[') && unit.ends_with(']');
    let has_known_end = unit.is_empty() || (is_time_unit && matches!(kind, 'm' | 'M'));
    let is_known = match kind {
        'b' => count == 1,
        'i' | 'u' => matches!(count, 1 | 2 | 4 | 8),
        'f' => matches!(count, 2 | 4 | 8 | 12 | 16),
        'c' => matches!(count, 8 | 16 | 24 | 32),
        'm' | 'M' => count == 8,
        'S' | 'V' | 'U' => true,
        _ => false,
    };
    let has_order = byte_order != '|' || count <= 1 || matches!(kind, 'S' | 'V');
    let size = if kind == 'U' { count * 4 } else { count };
    (is_known && has_order && has_known_end).then_some(size)
}
