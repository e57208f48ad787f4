//! Reductions such as sum and maximum, along some axes or over all elements.

use super::rows::fold;
use super::typed::{Element, typed};
use super::{Found, Kind, Number, Supply, View, ViewError, index};

/// The function that reduces numbers to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// The sum; of floats in double precision, then rounded to their dtype.
    Sum,
    /// The mean, computed in double precision; NaN for no numbers.
    Mean,
    /// The smallest number.
    Minimum,
    /// The largest number.
    Maximum,
    /// Whether at least one number is not zero.
    Any,
    /// Whether no number is zero.
    All,
}

/// The axes that a reduction removes.
#[derive(Debug, Clone, Default)]
pub struct Along {
    /// Numbers of the axes; `None` for all axes.
    pub axes: Option<Vec<isize>>,
    /// Whether the axes stay in the result, with length 1 (numpy's `keepdims`).
    pub is_kept: bool,
}

impl View {
    /// Reduces the elements. The result is a number if no axis is left, otherwise a view.
    ///
    /// # Errors
    /// `ValueError` for an axis that does not exist and for the minimum or maximum of no numbers,
    /// `TypeError` for dtypes that views do not compute with.
    pub fn reduced(
        &self,
        reduction: Reduction,
        along: &Along,
        supply: &Supply,
    ) -> Result<Found, ViewError> {
        let count = self.shape.len();
        let axes = match &along.axes {
            Some(given) => index::axes(given, count)?,
            None => (0..count).collect(),
        };
        let mut kept = self.shape.clone();
        axes.iter().for_each(|&axis| kept[axis] = 1);
        let mut made = self.folded(reduction, &axes, &kept, supply)?;
        if !along.is_kept {
            let rest = (0..count).filter(|axis| !axes.contains(axis));
            let shape: Vec<isize> = rest.map(|axis| kept[axis].cast_signed()).collect();
            made = made.reshape(&shape, supply)?;
        }
        if made.shape.is_empty() && !along.is_kept {
            return made.number(&[]).map(Found::Number);
        }
        Ok(Found::View(made.after(self, self)))
    }

    fn folded(
        &self,
        reduction: Reduction,
        axes: &[usize],
        kept: &[usize],
        supply: &Supply,
    ) -> Result<Self, ViewError> {
        let count = axes.iter().map(|&axis| self.shape[axis]).product();
        match reduction {
            Reduction::Sum | Reduction::Mean if self.kind.computed()?.is_whole() => {
                // Integer sums are exact and wrap around at 64 bits, as in numpy.
                let sums = typed!(self.kind, T => fold(self, kept, 0_i64, |sum, number: T| {
                    sum.wrapping_add(number.long())
                }, i64::wrapping_add))?;
                if reduction == Reduction::Sum {
                    let kind = if self.kind == Kind::U8 { Kind::U64 } else { Kind::I64 };
                    return supply.view_of(&sums, kept, kind);
                }
                let mean = |sum: i64| f64::of_long(sum) / double(count);
                supply.view_of(&sums.into_iter().map(mean).collect::<Vec<_>>(), kept, Kind::F64)
            }
            Reduction::Sum | Reduction::Mean => typed!(self.kind, T => {
                let sums = fold(self, kept, 0.0, |sum, number: T| sum + number.double(), |a, b| a + b);
                let divisor = if reduction == Reduction::Mean { double(count) } else { 1.0 };
                let made: Vec<T> = sums.iter().map(|sum| T::of_double(sum / divisor)).collect();
                supply.view_of(&made, kept, self.kind)
            })?,
            Reduction::Minimum | Reduction::Maximum if count == 0 => {
                let name = if reduction == Reduction::Minimum { "minimum" } else { "maximum" };
                Err(ViewError::Value(format!(
                    "zero-size array to reduction operation {name} which has no identity"
                )))
            }
            Reduction::Minimum => typed!(self.kind, T => {
                supply.view_of(&fold(self, kept, T::HIGHEST, T::lesser, T::lesser), kept, self.kind)
            })?,
            Reduction::Maximum => typed!(self.kind, T => {
                supply.view_of(&fold(self, kept, T::LOWEST, T::greater, T::greater), kept, self.kind)
            })?,
            Reduction::Any | Reduction::All => typed!(self.kind, T => {
                let is_all = reduction == Reduction::All;
                let join = |one, other| if is_all { one && other } else { one || other };
                let is_true = |state, number: T| join(state, number.double() != 0.0);
                let made = fold(self, kept, is_all, is_true, join);
                let made: Vec<u8> = made.into_iter().map(u8::from).collect();
                supply.view_of(&made, kept, Kind::Bool)
            })?,
        }
    }

    /// The root mean square, in double precision; NaN for no numbers.
    ///
    /// # Errors
    /// `TypeError` for dtypes that views do not compute with.
    pub fn rms(&self) -> Result<f64, ViewError> {
        let square = |number: f64| number * number;
        let squares = typed!(self.kind, T => {
            self.to_one(|sum, number: T| sum + square(number.double()), |a, b| a + b)
        })?;
        Ok((squares / double(self.len())).sqrt())
    }

    /// The largest absolute value; 0 for no numbers, NaN if a number is NaN.
    ///
    /// # Errors
    /// As [`View::rms`].
    pub fn peak(&self) -> Result<f64, ViewError> {
        typed!(self.kind, T => {
            self.to_one(|peak, number: T| peak.greater(number.double().abs()), f64::greater)
        })
    }

    fn to_one<T: Element>(&self, add: impl Fn(f64, T) -> f64, join: fn(f64, f64) -> f64) -> f64 {
        fold(self, &vec![1; self.shape.len()], 0.0, add, join)[0]
    }

    /// The truth value of a view with one element: whether that element is not zero.
    ///
    /// # Errors
    /// `ValueError` when the view does not have exactly one element, as in numpy.
    pub fn truth(&self) -> Result<bool, ViewError> {
        let message = match self.len() {
            1 => return Ok(self.single()?.is_true()),
            0 => {
                "The truth value of an empty array is ambiguous. Use `array.size > 0` to check that \
                 an array is not empty."
            }
            _ => {
                "The truth value of an array with more than one element is ambiguous. Use a.any() \
                 or a.all()"
            }
        };
        Err(ViewError::Value(message.to_owned()))
    }

    /// The element of a view with one element.
    ///
    /// # Errors
    /// `TypeError` when the view does not have exactly one element, as in numpy.
    pub fn single(&self) -> Result<Number, ViewError> {
        if self.len() != 1 {
            let message = "only length-1 arrays can be converted to Python scalars";
            return Err(ViewError::Type(message.to_owned()));
        }
        self.number(&vec![0; self.shape.len()])
    }
}

#[expect(clippy::cast_precision_loss, reason = "no memory holds more than 2^53 elements")]
fn double(count: usize) -> f64 {
    count as f64
}
