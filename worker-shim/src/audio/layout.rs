//! Where the elements of an array lie in memory, and how axes are reshaped, transposed and
//! broadcast. Pure: a layout knows neither the memory nor the dtype.

use std::ops::Range;

use ipc_protocol::Order;

use super::{ViewError, index};

/// The places of an array's elements in a block of memory. Strides and offsets are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<isize>,
    pub(super) offset: usize,
    /// Size of one element.
    pub(super) item: usize,
}

impl Layout {
    /// Elements of `item` bytes from the start of a block, without gaps.
    pub(super) fn dense(item: usize, shape: &[usize], order: Order) -> Result<Self, ViewError> {
        let bytes = shape.iter().try_fold(item, |bytes, &length| bytes.checked_mul(length));
        if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
            return Err(ViewError::Value(format!("an array of shape {shape:?} is too large")));
        }
        Ok(Self { strides: strides_of(item, shape, order), shape: shape.to_vec(), offset: 0, item })
    }

    /// Length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// For each axis the bytes from one element to the next.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Where the first element begins in the block.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Size of all elements together, in bytes.
    pub fn len_bytes(&self) -> usize {
        self.len() * self.item
    }

    /// The order in which the elements lie, or `None` if there are gaps between them.
    pub(super) fn order(&self) -> Option<Order> {
        [Order::C, Order::Fortran].into_iter().find(|&order| {
            let wanted = strides_of(self.item, &self.shape, order);
            let mut axes = self.shape.iter().zip(self.strides.iter().zip(&wanted));
            self.is_empty() || axes.all(|(&length, (own, wanted))| length == 1 || own == wanted)
        })
    }

    /// Where the element at an index begins in the block.
    pub(super) fn place(&self, indices: &[isize]) -> Result<usize, ViewError> {
        let mut place = self.offset;
        for (axis, &index) in indices.iter().enumerate() {
            let length = self.shape.get(axis).copied().unwrap_or(0);
            let steps = index::at(index, length, axis)?.cast_signed();
            place = place.wrapping_add_signed(steps * self.strides[axis]);
        }
        Ok(place)
    }

    /// Another shape for elements that lie in C order without gaps; one axis may be -1 and gets the
    /// remaining length.
    pub(super) fn reshaped(&self, shape: &[isize]) -> Result<Self, ViewError> {
        let known = shape.iter().filter_map(|&length| usize::try_from(length).ok());
        let rest = self.len().checked_div(known.fold(1, usize::saturating_mul)).unwrap_or(0);
        let length = |&length: &isize| usize::try_from(length).unwrap_or(rest);
        let made: Vec<usize> = shape.iter().map(length).collect();
        let made = Self::dense(self.item, &made, Order::C)?;
        let is_clear = shape.iter().filter(|length| **length < 0).count() <= 1
            && shape.iter().all(|length| *length >= -1);
        if !is_clear || made.len() != self.len() {
            let message = format!("cannot reshape {:?} into {shape:?}", self.shape);
            return Err(ViewError::Value(message));
        }
        Ok(Self { offset: self.offset, ..made })
    }

    /// The axes in another order; with an empty `order`, in reverse order.
    pub(super) fn transposed(&self, order: &[isize]) -> Result<Self, ViewError> {
        let count = self.shape.len();
        let reversed: Vec<usize> = (0..count).rev().collect();
        let axes = if order.is_empty() { reversed } else { index::axes(order, count)? };
        if axes.len() != count {
            return Err(ViewError::Value("axes don't match array".to_owned()));
        }
        let shape = axes.iter().map(|&axis| self.shape[axis]).collect();
        let strides = axes.iter().map(|&axis| self.strides[axis]).collect();
        Ok(Self { shape, strides, ..*self })
    }

    /// The layout broadcast to a shape. As in numpy, leading axes of length 1 that the shape lacks
    /// are dropped.
    pub(super) fn stretched(&self, shape: &[usize]) -> Result<Self, ViewError> {
        let extra = self.shape.len().saturating_sub(shape.len());
        let missing = shape.len() + extra - self.shape.len();
        let mut strides = vec![0; missing];
        let mut fits = self.shape[..extra].iter().all(|length| *length == 1);
        let own = self.shape[extra..].iter().zip(&self.strides[extra..]);
        for ((&own, &stride), &length) in own.zip(&shape[missing..]) {
            fits &= own == length || own == 1;
            strides.push(if own == length { stride } else { 0 });
        }
        if !fits {
            let (own, other) = (shape_text(&self.shape), shape_text(shape));
            let message = format!("could not broadcast input from shape {own} into shape {other}");
            return Err(ViewError::Value(message));
        }
        Ok(Self { shape: shape.to_vec(), strides, ..*self })
    }

    /// Some neighbouring axes; along the others it stays at their first elements.
    pub(super) fn axes(&self, axes: Range<usize>) -> Self {
        let shape = self.shape[axes.clone()].to_vec();
        Self { shape, strides: self.strides[axes].to_vec(), ..*self }
    }

    /// `count` consecutive elements from `start` on. The layout must be C-contiguous; one without
    /// dimensions repeats its only element.
    pub(super) fn part(&self, start: usize, count: usize) -> Self {
        let step = if self.shape.is_empty() { 0 } else { self.item };
        let (shape, strides) = (vec![count], vec![step.cast_signed()]);
        Self { shape, strides, offset: self.offset + start * step, ..*self }
    }
}

/// The shape to which two shapes are broadcast, by numpy's rules.
pub(super) fn common_shape(one: &[usize], other: &[usize]) -> Result<Vec<usize>, ViewError> {
    let axes = one.len().max(other.len());
    let length = |shape: &[usize], axis: usize| {
        (axis + shape.len()).checked_sub(axes).map_or(1, |axis| shape[axis])
    };
    let common = (0..axes).map(|axis| match (length(one, axis), length(other, axis)) {
        (1, length) | (length, 1) => Some(length),
        (length, same) => (length == same).then_some(length),
    });
    common.collect::<Option<_>>().ok_or_else(|| {
        let (one, other) = (shape_text(one), shape_text(other));
        let message = "operands could not be broadcast together with shapes";
        ViewError::Value(format!("{message} {one} {other}"))
    })
}

fn strides_of(item: usize, shape: &[usize], order: Order) -> Vec<isize> {
    let mut strides = vec![0; shape.len()];
    let mut step = item.cast_signed();
    let mut set = |axis: usize| {
        strides[axis] = step;
        step = step.saturating_mul(shape[axis].max(1).cast_signed());
    };
    match order {
        Order::C => (0..shape.len()).rev().for_each(&mut set),
        Order::Fortran => (0..shape.len()).for_each(&mut set),
    }
    strides
}

/// A shape as Python prints it.
pub(super) fn shape_text(shape: &[usize]) -> String {
    match shape {
        [length] => format!("({length},)"),
        shape => {
            let lengths: Vec<String> = shape.iter().map(ToString::to_string).collect();
            format!("({})", lengths.join(", "))
        }
    }
}
