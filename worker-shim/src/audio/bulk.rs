//! Scaling and mixing, and writing results to existing views.
//!
//! Products and sums are computed in double precision. For integer dtypes the fraction is cut off
//! and the result is limited to the range of the dtype, so a mix clips instead of wrapping around.

use ipc_protocol::Order;

use super::layout::shape_text;
use super::rows::{combine, map};
use super::typed::{Element, typed};
use super::{Index, Supply, View, ViewError};

/// Elements that are computed at a time before they are written: few enough to stay in the cache.
const PART: usize = 4096;

impl View {
    /// A new view with each number multiplied by `factor`.
    ///
    /// # Errors
    /// `TypeError` for dtypes that views do not compute with, `MemoryError` for a too large result.
    pub fn scaled(&self, factor: f64, supply: &Supply) -> Result<Self, ViewError> {
        typed!(self.kind, T => {
            map(self, self.kind, supply, |number: T| T::of_double(number.double() * factor))
        })?
    }

    /// A new view with each number plus `gain` times the number of `other` at the same place.
    ///
    /// # Errors
    /// As [`View::scaled`], and `ValueError` for shapes that differ.
    pub fn mixed(&self, other: &Self, gain: f64, supply: &Supply) -> Result<Self, ViewError> {
        self.check_shape(&other.shape)?;
        let made = supply.view(&self.shape, self.kind)?.after(self, other);
        let target = made.block.as_mut_slice();
        typed!(self.kind, A => typed!(other.kind, B => {
            combine([self, other], target, |a: A, b: B| A::of_double(a.double() + gain * b.double()));
        }))??;
        Ok(made)
    }

    /// Writes the result of [`View::scaled`] to `target`, which may be the view itself.
    ///
    /// # Errors
    /// As [`View::scaled`]; `ValueError` for a target of another shape or a read-only one.
    pub fn scale_into(&self, factor: f64, target: &Self) -> Result<(), ViewError> {
        self.check_shape(&target.shape)?;
        target.put([self, self], |[part, _]| part.scaled(factor, &Supply::default()))
    }

    /// Writes the result of [`View::mixed`] to `target`, which may be either of the two views.
    ///
    /// # Errors
    /// As [`View::mixed`]; `ValueError` for a target of another shape or a read-only one.
    pub fn mix_into(&self, other: &Self, gain: f64, target: &Self) -> Result<(), ViewError> {
        self.check_shape(&other.shape)?;
        self.check_shape(&target.shape)?;
        target.put([self, other], |[part, other]| part.mixed(other, gain, &Supply::default()))
    }

    /// Computes `make(sources)` and writes it, broadcast, to this view. Works in parts of [`PART`]
    /// elements, unless a part might overwrite elements of a source that a later part needs.
    pub(super) fn put(
        &self,
        sources: [&Self; 2],
        make: impl Fn([&Self; 2]) -> Result<Self, ViewError>,
    ) -> Result<(), ViewError> {
        self.check_writable()?;
        let is_dense = |view: &Self| view.shape == self.shape && view.order() == Some(Order::C);
        let can_be_parted = |view: &&Self| {
            let is_apart = !self.shares_block(view) || self.is_same_as(view);
            is_apart && (view.shape.is_empty() || is_dense(view))
        };
        if !is_dense(self) || !sources.iter().all(can_be_parted) {
            return self.copy_from(&make(sources)?);
        }
        let flat = |view: &Self| match view.shape[..] {
            [] => Ok(view.clone()),
            _ => view.raveled(&Supply::default()),
        };
        let (target, one, other) = (flat(self)?, flat(sources[0])?, flat(sources[1])?);
        for start in (0..self.len()).step_by(PART) {
            let made = make([&one.part(start)?, &other.part(start)?])?;
            target.part(start)?.copy_from(&made)?;
        }
        Ok(())
    }

    /// Up to [`PART`] elements of a view with one axis; a view without axes is returned as it is.
    fn part(&self, start: usize) -> Result<Self, ViewError> {
        if self.shape.is_empty() {
            return Ok(self.clone());
        }
        let (start, stop) = (start.cast_signed(), (start + PART).cast_signed());
        self.select(&[Index::Slice { start: Some(start), stop: Some(stop), step: 1 }])
    }

    /// Whether both views show the same elements in the same layout.
    fn is_same_as(&self, other: &Self) -> bool {
        self.shares_block(other)
            && (self.offset, self.kind) == (other.offset, other.kind)
            && (&self.shape, &self.strides) == (&other.shape, &other.strides)
    }

    pub(super) fn check_shape(&self, shape: &[usize]) -> Result<(), ViewError> {
        if self.shape == shape {
            return Ok(());
        }
        let (own, other) = (shape_text(&self.shape), shape_text(shape));
        Err(ViewError::Value(format!("shapes {own} and {other} differ")))
    }
}
