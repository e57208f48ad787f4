//! Scaling and mixing.
//!
//! Products and sums are computed in double precision. For integer dtypes the fraction is cut off
//! and the result is limited to the range of the dtype, so a mix clips instead of wrapping around.

use super::evaluate::{evaluate, same_shape};
use super::loops::{combine, map};
use super::typed::{Element, typed};
use super::{Supply, View, ViewError};

/// Multiplies each number by `factor`. Writes the results to `out`, which may be the view itself, or
/// to a new view.
///
/// # Errors
/// `TypeError` for dtypes that views do not compute with, `ValueError` for an `out` of another shape
/// or a read-only one, `MemoryError` when an allocation fails.
pub fn scale(
    view: &View,
    factor: f64,
    out: Option<&View>,
    supply: &Supply,
) -> Result<View, ViewError> {
    evaluate([view, view], view.kind(), out, supply, |[numbers, _], target| {
        typed!(view.kind(), T => {
            map(numbers, target, |number: T| T::of_double(number.double() * factor));
        });
        Ok(())
    })
}

/// Adds `gain` times `other` to each number. Writes the results to `out`, which may be either of the
/// two views, or to a new view. Errors as of [`scale`], and `ValueError` for shapes that differ.
pub fn mix(
    view: &View,
    other: &View,
    gain: f64,
    out: Option<&View>,
    supply: &Supply,
) -> Result<View, ViewError> {
    same_shape(view.layout().shape(), other.layout().shape())?;
    evaluate([view, other], view.kind(), out, supply, |both, target| {
        typed!(view.kind(), A => typed!(other.kind(), B => {
            combine(both, target, |a: A, b: B| A::of_double(a.double() + gain * b.double()));
        }));
        Ok(())
    })
}
