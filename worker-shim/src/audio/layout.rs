//! The layout of a view's elements in its block: slices, reshaping, transposing, broadcasting.

use ipc_protocol::Order;

use super::{Index, Kind, Supply, View, ViewError, index};

/// Masks of a subscript, each with the first axis of the selected view that the mask covers.
type Masks<'a> = Vec<(&'a View, usize)>;

impl View {
    /// The view that a subscript selects; masks in the subscript are taken as `:`.
    ///
    /// # Errors
    /// `IndexError` for an index beyond an axis, `ValueError` for a step of zero.
    pub fn select(&self, subscript: &[Index]) -> Result<Self, ViewError> {
        self.with_masks(subscript).map(|(view, _)| view)
    }

    /// Like [`View::select`], and returns the masks of the subscript too.
    pub(super) fn with_masks<'a>(
        &self,
        subscript: &'a [Index],
    ) -> Result<(Self, Masks<'a>), ViewError> {
        let given: usize = subscript.iter().map(Index::axes).sum();
        let ellipses = subscript.iter().filter(|part| matches!(part, Index::Ellipsis)).count();
        let Some(missing) = self.shape.len().checked_sub(given).filter(|_| ellipses <= 1) else {
            let axes = self.shape.len();
            return Err(ViewError::Index(format!("too many indices or ellipses for {axes} axes")));
        };
        let mut view = Self { shape: Vec::new(), strides: Vec::new(), ..self.clone() };
        let (mut offset, mut axis, mut masks) = (self.offset, 0, Vec::new());
        for part in subscript.iter().chain((ellipses == 0).then_some(&Index::Ellipsis)) {
            let stride = self.strides.get(axis).copied().unwrap_or(0);
            let mut skip = |places: usize| {
                offset = offset.wrapping_add_signed(places.cast_signed() * stride);
            };
            let mut whole = part.axes();
            match *part {
                Index::At(place) => {
                    skip(index::at(place, self.shape[axis], axis)?);
                    (axis, whole) = (axis + 1, 0);
                }
                Index::Slice { start, stop, step } => {
                    let range = index::range(start, stop, step, self.shape[axis])?;
                    skip(if range.count > 0 { range.start } else { 0 });
                    view.shape.push(range.count);
                    view.strides.push(stride.saturating_mul(range.step));
                    (axis, whole) = (axis + 1, 0);
                }
                Index::NewAxis => {
                    view.shape.push(1);
                    view.strides.push(0);
                }
                Index::Ellipsis => whole = missing,
                Index::Mask(ref mask) => masks.push((mask, view.shape.len())),
            }
            view.shape.extend(&self.shape[axis..axis + whole]);
            view.strides.extend(&self.strides[axis..axis + whole]);
            axis += whole;
        }
        Ok((Self { offset, is_scalar: false, ..view }, masks))
    }

    /// The same elements in another shape; one axis may be -1 and gets the remaining length. Copies
    /// the elements unless they lie in C order without gaps.
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
            _ => self.copy(supply)?,
        };
        Ok(Self { shape, strides, ..dense })
    }

    /// The elements on a single axis, in C order; copied as by [`View::reshape`].
    ///
    /// # Errors
    /// `MemoryError` when a copy would exceed the address space.
    pub fn raveled(&self, supply: &Supply) -> Result<Self, ViewError> {
        let length = self.len().cast_signed();
        self.reshape(&[length], supply)
    }

    /// The view with its axes in another order; with an empty `order`, in reverse order.
    ///
    /// # Errors
    /// `ValueError` when the order does not name each axis once.
    pub fn transpose(&self, order: &[isize]) -> Result<Self, ViewError> {
        let count = self.shape.len();
        let mut axes = index::axes(order, count)?;
        if order.is_empty() {
            axes = (0..count).rev().collect();
        }
        if axes.len() != count {
            return Err(ViewError::Value("axes don't match array".to_owned()));
        }
        let shape = axes.iter().map(|&axis| self.shape[axis]).collect();
        let strides = axes.iter().map(|&axis| self.strides[axis]).collect();
        Ok(Self { shape, strides, ..self.clone() })
    }

    /// Another view of the same block. `axes` holds the length and the stride of each axis,
    /// `offset` is where the first element begins in the block; strides and offset are in bytes.
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
        if !is_empty && (lowest < 0 || highest > self.block.bytes.cast_signed()) {
            return Err(ViewError::Value("the view would extend beyond its memory".to_owned()));
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

    /// The shape to which both views are broadcast, by numpy's rules.
    ///
    /// # Errors
    /// `ValueError` when the shapes cannot be broadcast together.
    pub(super) fn common_shape(&self, other: &Self) -> Result<Vec<usize>, ViewError> {
        let (one, two) = (&self.shape, &other.shape);
        let axes = one.len().max(two.len());
        let length = |shape: &[usize], axis: usize| {
            (axis + shape.len()).checked_sub(axes).map_or(1, |axis| shape[axis])
        };
        let common = (0..axes).map(|axis| match (length(one, axis), length(two, axis)) {
            (1, length) | (length, 1) => Some(length),
            (length, same) => (length == same).then_some(length),
        });
        common.collect::<Option<_>>().ok_or_else(|| {
            ViewError::Value(format!(
                "operands could not be broadcast together with shapes {} {}",
                shape_text(one),
                shape_text(two)
            ))
        })
    }

    /// The view broadcast to a shape that it fits.
    pub(super) fn stretched(&self, shape: &[usize]) -> Self {
        let missing = shape.len().saturating_sub(self.shape.len());
        let mut strides = vec![0; missing];
        let axes = self.shape.iter().zip(&self.strides).zip(&shape[missing..]);
        strides
            .extend(axes.map(|((&own, &stride), &length)| if own == length { stride } else { 0 }));
        Self { shape: shape.to_vec(), strides, ..self.clone() }
    }
}

/// Size of an array in bytes; `item` is the size of one element.
///
/// # Errors
/// `ValueError` when the array does not fit the address space.
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
