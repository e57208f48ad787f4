//! Writing whole views: filling, copying, concatenating.

use ipc_protocol::Order;

use super::layout::shape_text;
use super::{Kind, Number, Supply, View, ViewError, index};

impl View {
    /// Sets every element to a number.
    ///
    /// # Errors
    /// `ValueError` when the view is read-only, `OverflowError` or `TypeError` when the dtype
    /// cannot store the number.
    pub fn fill(&self, number: Number) -> Result<(), ViewError> {
        self.check_writable()?;
        let element = &self.kind.encoded(number)?[..self.kind.bytes()];
        for run in self.runs() {
            let places = self.block.as_mut_slice().get_mut(run).unwrap_or(&mut []);
            places.chunks_exact_mut(element.len()).for_each(|at| at.copy_from_slice(element));
        }
        Ok(())
    }

    /// Copies the elements of `source`, broadcast to this view's shape and converted to its dtype
    /// as by [`View::cast`]. The two views may overlap.
    ///
    /// # Errors
    /// `ValueError` when this view is read-only or the shape cannot be broadcast, `TypeError` when
    /// the dtypes differ and views do not compute with both.
    pub fn copy_from(&self, source: &Self) -> Result<(), ViewError> {
        self.check_writable()?;
        let is_plain = source.order() == Some(Order::C) && source.kind == self.kind;
        let copy = if !self.shares_block(source) && is_plain && source.shape == self.shape {
            source.clone()
        } else {
            source.over_shape(&self.shape, self.kind)?
        };
        self.scatter(self.runs(), copy.bytes());
        Ok(())
    }

    /// A copy in C order, broadcast to a shape and converted to a dtype.
    ///
    /// # Errors
    /// As [`View::copy_from`].
    pub(super) fn over_shape(&self, shape: &[usize], kind: Kind) -> Result<Self, ViewError> {
        // As in numpy, extra axes of length 1 are dropped.
        let more = self.shape.len().saturating_sub(shape.len());
        let extra = self.shape.iter().take(more).take_while(|length| **length == 1).count();
        let (axes, steps) = (self.shape[extra..].to_vec(), self.strides[extra..].to_vec());
        let source = Self { shape: axes, strides: steps, ..self.clone() };
        let fits = source.shape.len() <= shape.len()
            && source.shape.iter().rev().zip(shape.iter().rev()).all(|(a, b)| *a == 1 || a == b);
        if !fits {
            let (own, other) = (shape_text(shape), shape_text(&self.shape));
            let message = format!("could not broadcast input from shape {other} into shape {own}");
            return Err(ViewError::Value(message));
        }
        source.stretched(shape).cast(kind, &Supply::default())
    }

    /// Joins views along an axis, in the smallest dtype that can represent the numbers of all.
    ///
    /// # Errors
    /// `ValueError` for no views and for shapes that differ in another axis, `TypeError` when the
    /// dtypes differ and views do not compute with all of them.
    pub fn joined(views: &[Self], axis: isize, supply: &Supply) -> Result<Self, ViewError> {
        let refused = |message: &str| Err(ViewError::Value(message.to_owned()));
        let Some(first) = views.first() else {
            return refused("need at least one array to concatenate");
        };
        if first.shape.is_empty() {
            return refused("zero-dimensional arrays cannot be concatenated");
        }
        let axis = index::axes(&[axis], first.shape.len())?[0];
        let (mut kind, mut shape) = (first.kind, first.shape.clone());
        for view in &views[1..] {
            if view.kind != kind {
                kind = kind.common(view.kind)?;
            }
            let mut wanted = first.shape.clone();
            if view.shape.len() == wanted.len() {
                wanted[axis] = view.shape[axis];
                shape[axis] += view.shape[axis];
            }
            if view.shape != wanted {
                return Err(ViewError::Value(format!(
                    "all the input array dimensions except for the concatenation axis must match \
                     exactly, not {} and {}",
                    shape_text(&first.shape),
                    shape_text(&view.shape)
                )));
            }
        }
        let made = supply.view(&shape, kind)?;
        let mut offset = made.offset;
        for view in views {
            Self { shape: view.shape.clone(), offset, ..made.clone() }.copy_from(view)?;
            offset += view.shape[axis] * made.strides[axis].unsigned_abs();
        }
        Ok(made.at_rate(views.iter().find_map(|view| view.sample_rate_hz)))
    }
}
