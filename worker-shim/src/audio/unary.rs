//! Operators with one operand.

use super::bits::invert;
use super::rows::map;
use super::typed::{Complex, Half, Real, Ring, Truth, typed};
use super::{Kind, Supply, View, ViewError};

/// An operator with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// `-`
    Negative,
    /// `+`
    Positive,
    /// `abs()`
    Absolute,
    /// `~`
    Invert,
}

impl Unary {
    /// What the operator gives.
    ///
    /// # Errors
    /// `TypeError` for kinds that do not have the operator.
    pub fn apply(self, view: &View, supply: &Supply) -> Result<View, ViewError> {
        let kind = view.kind()?;
        let (symbol, made_kind) = match (self, kind) {
            (Self::Negative, _) => ("-", kind),
            (Self::Positive, _) => ("+", kind),
            (Self::Absolute, Kind::C64) => ("abs", Kind::F32),
            (Self::Absolute, Kind::C128) => ("abs", Kind::F64),
            (Self::Absolute, _) => ("abs", kind),
            (Self::Invert, _) => ("~", kind),
        };
        let made = supply.view(&view.shape, made_kind)?;
        let target = made.block.as_mut_slice();
        let refused = || {
            let name = kind.name();
            Err(ViewError::Type(format!(
                "numbers of dtype {name} do not have the operator {symbol}"
            )))
        };
        match (self, kind) {
            (Self::Absolute, Kind::Bool) => map(view, target, |truth: Truth| truth),
            (Self::Absolute, Kind::C64) => map(view, target, Complex::<f32>::size),
            (Self::Absolute, Kind::C128) => map(view, target, Complex::<f64>::size),
            (Self::Absolute, _) => {
                typed!(reals kind, T => map(view, target, T::absolute), else return refused());
            }
            (Self::Negative, _) => {
                typed!(rings kind, T => map(view, target, T::negated), else return refused());
            }
            (Self::Invert, Kind::Bool) => map(view, target, |truth: Truth| !truth),
            (Self::Invert, _) if kind.is_whole() => invert(kind, view, target),
            (Self::Positive, Kind::Bool) | (Self::Invert, _) => return refused(),
            (Self::Positive, _) => return view.cast(kind, supply),
        }
        Ok(made.after(view, view))
    }
}
