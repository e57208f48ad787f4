//! Gains and mixes, and passes over all numbers one by one.
//!
//! Products and sums are made in double precision; integers are cut off and kept within the range of
//! their dtype, so that a mix clips instead of wrapping around.

use super::rows::{combine, map};
use super::typed::{Element, typed};
use super::{Kind, Number, Numeric, Operand, Supply, View, ViewError};

impl View {
    /// `factor` times each number.
    ///
    /// # Errors
    /// `TypeError` for dtypes that are only passed on, `MemoryError` when there is no memory.
    pub fn scaled(&self, factor: f64, supply: &Supply) -> Result<Self, ViewError> {
        let kind = self.numeric()?;
        let made = supply.view(&self.shape, self.kind)?;
        typed!(kind, T => map(self, made.block.as_mut_slice(), |number: T| {
            T::of_double(number.double() * factor)
        }));
        Ok(made.after(self, self))
    }

    /// Each number plus `gain` times the number of `other`.
    ///
    /// # Errors
    /// As [`View::scaled`], and `ValueError` for shapes that differ.
    pub fn mixed(&self, other: &Self, gain: f64, supply: &Supply) -> Result<Self, ViewError> {
        self.check_shape(other)?;
        let kind = self.numeric()?;
        let made = supply.view(&self.shape, self.kind)?;
        let target = made.block.as_mut_slice();
        if other.kind == self.kind {
            typed!(kind, T => combine(self, other, target, |a: T, b: T| {
                T::of_double(a.double() + gain * b.double())
            }));
        } else {
            let other = other.cast(Kind::F64, &Supply::default())?;
            typed!(kind, T => combine(self, &other, target, |a: T, b: f64| {
                T::of_double(a.double() + gain * b)
            }));
        }
        Ok(made.after(self, other))
    }

    /// Writes [`View::scaled`] to `target`, which may be the view itself.
    ///
    /// # Errors
    /// As [`View::scaled`]; `ValueError` for a target of another shape or a read-only one.
    pub fn scale_into(&self, factor: f64, target: &Self) -> Result<(), ViewError> {
        let private = Supply::default();
        if !self.is_same_as(target) {
            self.check_shape(target)?;
            return target.copy_from(&self.scaled(factor, &private)?);
        }
        target.check_writable()?;
        target.each_part(&Operand::Number(Number::Float(factor)), |part, _| {
            part.copy_from(&part.scaled(factor, &private)?)
        })
    }

    /// Writes [`View::mixed`] to `target`, which may be either of both.
    ///
    /// # Errors
    /// As [`View::mixed`]; `ValueError` for a target of another shape or a read-only one.
    pub fn mix_into(&self, other: &Self, gain: f64, target: &Self) -> Result<(), ViewError> {
        let private = Supply::default();
        self.check_shape(other)?;
        if !self.is_same_as(target) {
            self.check_shape(target)?;
            return target.copy_from(&self.mixed(other, gain, &private)?);
        }
        target.check_writable()?;
        target.each_part(&Operand::View(other.clone()), |part, other| match other {
            Operand::View(other) => part.copy_from(&part.mixed(other, gain, &private)?),
            Operand::Number(_) => Ok(()),
        })
    }

    fn check_shape(&self, other: &Self) -> Result<(), ViewError> {
        if self.shape == other.shape {
            return Ok(());
        }
        let message = format!("shapes {} and {} differ", self.shape_text(), other.shape_text());
        Err(ViewError::Value(message))
    }

    /// Calls `visit` with each number, in C order.
    pub fn each_number(&self, mut visit: impl FnMut(Number)) {
        let memory = self.block.as_slice();
        self.each_offset(|at| {
            if let Some(bytes) = memory.get(at..at + self.kind.bytes()) {
                visit(self.kind.read(bytes));
            }
        });
    }
}
