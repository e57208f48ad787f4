//! Real and imaginary parts, and rounding.

use super::rows::map;
use super::{Kind, Number, Operand, Operator, Supply, Unary, View, ViewError};

impl View {
    /// The real parts: a view of the same memory.
    ///
    /// # Errors
    /// `TypeError` when they are no numbers.
    pub fn real_part(&self) -> Result<Self, ViewError> {
        let kind = self.kind()?.of_parts();
        Ok(Self { dtype: kind.dtype(), kind: Some(kind), ..self.clone() })
    }

    /// The imaginary parts: of complex numbers a view of the same memory, else zeros.
    ///
    /// # Errors
    /// As [`View::real_part`], and `MemoryError` when there is no memory.
    pub fn imaginary_part(&self, supply: &Supply) -> Result<Self, ViewError> {
        let real = self.real_part()?;
        if self.kind != real.kind {
            return Ok(Self { offset: real.offset + real.dtype.item_bytes as usize, ..real });
        }
        let zeros = supply.view(&self.shape, self.kind()?)?;
        zeros.block.as_mut_slice().fill(0);
        Ok(zeros.after(self, self))
    }

    /// The numbers with their imaginary parts turned round; real numbers are as they are.
    ///
    /// # Errors
    /// As [`View::imaginary_part`].
    pub fn conjugate(&self, supply: &Supply) -> Result<Self, ViewError> {
        let kind = self.kind()?;
        if kind == kind.of_parts() {
            return Ok(self.clone());
        }
        let made = self.cast(kind, supply)?;
        let imaginary = made.imaginary_part(supply)?;
        imaginary.copy_from(&Unary::Negative.apply(&imaginary, &Supply::default())?)?;
        Ok(made)
    }

    /// The numbers rounded to so many decimals; halves to even digits.
    ///
    /// # Errors
    /// `TypeError` when they are no numbers that can be rounded.
    pub fn rounded(&self, decimals: i32, supply: &Supply) -> Result<Self, ViewError> {
        let kind = self.kind()?;
        if kind == Kind::Bool {
            let message = "truths of an 'AudioView' are not rounded; use astype() first";
            return Err(ViewError::Type(message.to_owned()));
        }
        if kind != kind.of_parts() {
            let made = self.cast(kind, supply)?;
            for part in [made.real_part()?, made.imaginary_part(supply)?] {
                part.copy_from(&part.rounded(decimals, &Supply::default())?)?;
            }
            return Ok(made);
        }
        if kind.is_whole() && decimals >= 0 {
            return self.cast(kind, supply);
        }
        let private = Supply::default();
        let source = if kind.is_whole() { self.cast(Kind::F64, &private)? } else { self.clone() };
        let power = Operand::Number(Number::Float(10_f64.powi(decimals.abs())));
        let (before, after) = match decimals {
            0 => return source.without_fractions()?.cast(kind, supply),
            1.. => (Operator::Multiply, Operator::Divide),
            _ => (Operator::Divide, Operator::Multiply),
        };
        let large = before.apply(&Operand::View(source), &power, &private)?.without_fractions()?;
        after.apply(&Operand::View(large), &power, &private)?.cast(kind, supply)
    }

    /// Floats as whole numbers.
    fn without_fractions(&self) -> Result<Self, ViewError> {
        let private = Supply::default();
        // Halves and singles have no halves that doubles have not.
        let wide = self.widened()?;
        let made = private.view(&self.shape, Kind::F64)?.after(self, self);
        map(&wide, made.block.as_mut_slice(), f64::round_ties_even);
        made.cast(self.kind()?, &private)
    }
}
