//! How the elements of a view lie in its block: parts, other shapes, visiting all elements.

use ipc_protocol::Order;

use super::{Index, Kind, Supply, View, ViewError, index};

impl View {
    /// The view that a subscript selects, with the remaining axes.
    ///
    /// # Errors
    /// `IndexError` beyond an axis, `ValueError` for a step of zero.
    pub fn select(&self, subscript: &[Index]) -> Result<Self, ViewError> {
        let given = subscript.iter().filter(|part| part.takes_axis()).count();
        let ellipses = subscript.iter().filter(|part| **part == Index::Ellipsis).count();
        if given > self.shape.len() || ellipses > 1 {
            let axes = self.shape.len();
            return Err(ViewError::Index(format!("{given} indices for {axes} axes")));
        }
        let mut view = Self { shape: Vec::new(), strides: Vec::new(), ..self.clone() };
        let mut offset = self.offset.cast_signed();
        let mut axis = 0;
        for part in subscript {
            match *part {
                Index::Ellipsis => {
                    let missing = self.shape.len() - given;
                    view.shape.extend(&self.shape[axis..axis + missing]);
                    view.strides.extend(&self.strides[axis..axis + missing]);
                    axis += missing;
                    continue;
                }
                Index::NewAxis => {
                    view.shape.push(1);
                    view.strides.push(0);
                    continue;
                }
                Index::At(place) => {
                    let place = index::at(place, self.shape[axis], axis)?;
                    offset += place.cast_signed() * self.strides[axis];
                }
                Index::Slice { start, stop, step } => {
                    let range = index::range(start, stop, step, self.shape[axis])?;
                    if range.count > 0 {
                        offset += range.start.cast_signed() * self.strides[axis];
                    }
                    view.shape.push(range.count);
                    view.strides.push(self.strides[axis].saturating_mul(range.step));
                }
            }
            axis += 1;
        }
        view.shape.extend(&self.shape[axis..]);
        view.strides.extend(&self.strides[axis..]);
        view.offset = usize::try_from(offset).unwrap_or(0);
        view.is_scalar = false;
        Ok(view)
    }

    /// The same elements in another shape; one axis may be -1. Those that do not lie in C order
    /// without gaps are copied.
    ///
    /// # Errors
    /// `ValueError` when the number of elements differs.
    pub fn reshape(&self, shape: &[isize], supply: &Supply) -> Result<Self, ViewError> {
        let wrong = || ViewError::Value(format!("cannot reshape {:?} into {shape:?}", self.shape));
        let known: usize =
            shape.iter().filter(|axis| **axis >= 0).map(|axis| axis.unsigned_abs()).product();
        let unknown = shape.iter().filter(|axis| **axis < 0).count();
        let rest = self.len().checked_div(known).unwrap_or(0);
        if unknown > 1 || shape.iter().any(|axis| *axis < -1) {
            return Err(wrong());
        }
        let axis = |&axis: &isize| usize::try_from(axis).unwrap_or(rest);
        let shape: Vec<usize> = shape.iter().map(axis).collect();
        if shape.iter().product::<usize>() != self.len() {
            return Err(wrong());
        }
        let strides = strides_of(self.kind.bytes(), &shape, Order::C);
        let dense = match self.order() {
            Some(Order::C) => self.clone(),
            _ => self.copied_to(supply.block(self.len_bytes()))?,
        };
        Ok(Self { shape, strides, ..dense })
    }

    /// The numbers on a single axis, in C order, as [`View::reshape`] has them.
    ///
    /// # Errors
    /// `ValueError` when there is no memory for a copy.
    pub fn raveled(&self, supply: &Supply) -> Result<Self, ViewError> {
        let length = self.len().cast_signed();
        self.reshape(&[length], supply)
    }

    /// The view with its axes in reverse order.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut view = self.clone();
        view.shape.reverse();
        view.strides.reverse();
        view
    }

    /// The view with its axes in another order; without one in reverse order.
    ///
    /// # Errors
    /// `ValueError` when the order does not name each axis once.
    pub fn transpose(&self, order: &[isize]) -> Result<Self, ViewError> {
        if order.is_empty() {
            return Ok(self.transposed());
        }
        let axis = |&given: &isize| index::axis(given, self.shape.len());
        let axes: Vec<usize> = order.iter().map(axis).collect::<Result<_, _>>()?;
        if (0..self.shape.len()).any(|axis| !axes.contains(&axis)) || axes.len() != self.shape.len()
        {
            return Err(ViewError::Value("axes don't match array".to_owned()));
        }
        Ok(self.permuted(&axes))
    }

    pub(super) fn permuted(&self, axes: &[usize]) -> Self {
        let shape = axes.iter().map(|&axis| self.shape[axis]).collect();
        let strides = axes.iter().map(|&axis| self.strides[axis]).collect();
        Self { shape, strides, ..self.clone() }
    }

    /// Another view of the same block, described by the length of each axis and the bytes from one
    /// element to the next, and by where the first element begins.
    ///
    /// # Errors
    /// `ValueError` when an element would lie outside of the block.
    pub fn relaid(
        &self,
        kind: Kind,
        axes: &[(usize, isize)],
        offset: isize,
    ) -> Result<Self, ViewError> {
        let (shape, strides): (Vec<usize>, Vec<isize>) = axes.iter().copied().unzip();
        let is_empty = shape.contains(&0);
        let (mut lowest, mut highest) = (offset, offset.saturating_add_unsigned(kind.bytes()));
        for &(length, stride) in axes {
            let reach = stride.saturating_mul(length.saturating_sub(1).cast_signed());
            lowest = lowest.saturating_add(reach.min(0));
            highest = highest.saturating_add(reach.max(0));
        }
        if !is_empty && (lowest < 0 || highest > self.block.len().cast_signed()) {
            return Err(ViewError::Value("the view does not lie in its memory".to_owned()));
        }
        Ok(Self {
            kind,
            shape,
            strides,
            offset: if is_empty { 0 } else { offset.unsigned_abs() },
            is_scalar: false,
            ..self.clone()
        })
    }

    /// Length in bytes of a run of the innermost axes without gaps, and a view with one element for
    /// each run.
    pub(super) fn runs(&self) -> (usize, Self) {
        let (mut run, mut view) = (self.kind.bytes(), self.clone());
        while let (Some(&length), Some(&stride)) = (view.shape.last(), view.strides.last()) {
            if length != 1 && stride != run.cast_signed() {
                break;
            }
            run *= length;
            view.shape.pop();
            view.strides.pop();
        }
        (run, view)
    }

    /// Calls `visit` with where each element begins in the block, in C order.
    pub(super) fn each_offset(&self, mut visit: impl FnMut(usize)) {
        if self.is_empty() {
            return;
        }
        let mut place = vec![0_usize; self.shape.len()];
        let mut offset = self.offset.cast_signed();
        loop {
            visit(offset.unsigned_abs());
            let mut axis = self.shape.len();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                place[axis] += 1;
                offset += self.strides[axis];
                if place[axis] < self.shape[axis] {
                    break;
                }
                offset -= self.strides[axis] * self.shape[axis].cast_signed();
                place[axis] = 0;
            }
        }
    }
}

/// Bytes of the elements of a shape.
///
/// # Errors
/// `ValueError` when they do not fit the address space.
pub(super) fn bytes_needed(item: usize, shape: &[usize]) -> Result<usize, ViewError> {
    let bytes = shape.iter().try_fold(item, |bytes, &length| bytes.checked_mul(length));
    let bytes = bytes.filter(|bytes| isize::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| ViewError::Value(format!("an array of shape {shape:?} is too large")))
}

pub(super) fn strides_of(item: usize, shape: &[usize], order: Order) -> Vec<isize> {
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
