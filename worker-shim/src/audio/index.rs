//! The parts of a subscript: the comma-separated expressions in the brackets of `view[...]`.

use super::{View, ViewError};

/// One part of a subscript.
#[derive(Debug, Clone)]
pub enum Index {
    /// One element of an axis; a negative number counts from the end.
    At(isize),
    /// `start:stop:step`, as in Python's `slice`.
    Slice {
        /// First index; `None` for the first or, with a negative step, the last of the axis.
        start: Option<isize>,
        /// Index at which the slice ends, exclusive; `None` for the end of the axis.
        stop: Option<isize>,
        /// Distance between two indices; not zero.
        step: isize,
    },
    /// `...`: all axes that the other parts leave.
    Ellipsis,
    /// `None`: a new axis of length 1.
    NewAxis,
    /// A view of bools. It selects elements of as many axes as the mask has.
    Mask(View),
}

impl Index {
    /// `:`, which selects a whole axis.
    pub const ALL: Self = Self::Slice { start: None, stop: None, step: 1 };

    /// Number of the view's axes that this part uses up; 0 for an ellipsis.
    pub(super) fn axes(&self) -> usize {
        match self {
            Self::At(_) | Self::Slice { .. } => 1,
            Self::Ellipsis | Self::NewAxis => 0,
            Self::Mask(mask) => mask.shape.len(),
        }
    }
}

/// The elements that a slice selects: index of the first, their number, and the distance of two.
pub(super) struct Range {
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) step: isize,
}

/// The index of an element, counted from the start of its axis.
///
/// # Errors
/// `IndexError` beyond the ends of the axis.
pub(super) fn at(index: isize, length: usize, axis: usize) -> Result<usize, ViewError> {
    let from_start = if index < 0 {
        length.checked_sub(index.unsigned_abs())
    } else {
        Some(index.unsigned_abs())
    };
    from_start.filter(|&place| place < length).ok_or_else(|| {
        ViewError::Index(format!(
            "index {index} is out of bounds for axis {axis} with size {length}"
        ))
    })
}

/// Checked axis numbers in the given order; negative numbers count from the last axis.
///
/// # Errors
/// `ValueError` for an axis that the view does not have, and for an axis that is named twice.
pub(super) fn axes(given: &[isize], axes: usize) -> Result<Vec<usize>, ViewError> {
    let mut found = Vec::with_capacity(given.len());
    for &one in given {
        let axis = if one < 0 { one.saturating_add_unsigned(axes) } else { one };
        let axis = usize::try_from(axis).ok().filter(|axis| *axis < axes).ok_or_else(|| {
            ViewError::Value(format!("axis {one} is out of bounds for array of dimension {axes}"))
        })?;
        if found.contains(&axis) {
            return Err(ViewError::Value("duplicate value in 'axis'".to_owned()));
        }
        found.push(axis);
    }
    Ok(found)
}

/// The elements that a slice selects on an axis of this length, by Python's rules.
///
/// # Errors
/// `ValueError` for a step of zero.
pub(super) fn range(
    start: Option<isize>,
    stop: Option<isize>,
    step: isize,
    length: usize,
) -> Result<Range, ViewError> {
    if step == 0 {
        return Err(ViewError::Value("slice step cannot be zero".to_owned()));
    }
    let length = length.cast_signed();
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place = |given: Option<isize>, default: isize| match given {
        None => default,
        Some(place) if place < 0 => place.saturating_add(length).max(lowest),
        Some(place) => place.min(highest),
    };
    let (first, last) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    let (start, stop) = (place(start, first), place(stop, last));
    let span = if step > 0 { stop - start } else { start - stop };
    let count = if span <= 0 { 0 } else { (span.unsigned_abs() - 1) / step.unsigned_abs() + 1 };
    Ok(Range { start: start.max(0).unsigned_abs(), count, step })
}
