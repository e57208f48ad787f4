//! The parts of a subscript: the comma-separated expressions in the brackets of `view[...]`.

use super::ViewError;

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
    /// The elements of as many axes as the mask has, where the mask is true.
    Mask(Mask),
}

/// An array of bools that selects elements.
#[derive(Debug, Clone)]
pub struct Mask {
    pub(super) shape: Vec<usize>,
    /// The bools, in C order.
    pub(super) truths: Vec<bool>,
}

impl Mask {
    /// The error for masks that views do not take. It moves the node to CPython.
    pub(super) fn refused() -> ViewError {
        let message = "an 'AudioView' takes one mask at a time, of bools, and next to integers";
        ViewError::Unsupported(message.to_owned())
    }
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

/// The index of an element, counted from the start of its axis.
pub(super) fn at(index: isize, length: usize, axis: usize) -> Result<usize, ViewError> {
    let place = if index < 0 { index.saturating_add_unsigned(length) } else { index };
    usize::try_from(place).ok().filter(|place| *place < length).ok_or_else(|| {
        let message = format!("index {index} is out of bounds for axis {axis} with size {length}");
        ViewError::Index(message)
    })
}

/// Checked axis numbers in the given order; negative numbers count from the last axis.
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

/// The elements that a slice selects on an axis of this length, by Python's rules: the index of the
/// first, and their number.
pub(super) fn range(
    start: Option<isize>,
    stop: Option<isize>,
    step: isize,
    length: usize,
) -> Result<(usize, usize), ViewError> {
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
    Ok((if count > 0 { start.unsigned_abs() } else { 0 }, count))
}
