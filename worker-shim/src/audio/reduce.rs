//! Reductions such as sum and maximum, along some axes or over all elements.

use super::loops::fold;
use super::typed::{Element, typed};
use super::{Index, Kind, Supply, View, ViewError, index};

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

impl Reduction {
    /// Reduces the elements of a view along axes; `None` for all axes. The axes stay in the result
    /// with length 1 if `keeps_axes` (numpy's `keepdims`). The result is a scalar if no axis is left.
    ///
    /// # Errors
    /// `ValueError` for an axis that does not exist and for the minimum or maximum of no numbers,
    /// `TypeError` for dtypes that views do not compute with.
    pub fn apply(
        self,
        view: &View,
        axes: Option<&[isize]>,
        keeps_axes: bool,
        supply: &Supply,
    ) -> Result<View, ViewError> {
        let shape = view.layout().shape();
        let axes = match axes {
            Some(given) => index::axes(given, shape.len())?,
            None => (0..shape.len()).collect(),
        };
        let mut kept = shape.to_vec();
        axes.iter().for_each(|&axis| kept[axis] = 1);
        let count = axes.iter().map(|&axis| shape[axis]).product();
        let made = self.folded(view, &kept, count, supply)?.at_rate(view.sample_rate_hz);
        let part = |axis| {
            let is_dropped = !keeps_axes && axes.contains(&axis);
            if is_dropped { Index::At(0) } else { Index::ALL }
        };
        made.get(&(0..shape.len()).map(part).collect::<Vec<_>>(), supply)
    }

    /// Reduces `count` elements to each element of a view of shape `kept`.
    fn folded(
        self,
        view: &View,
        kept: &[usize],
        count: usize,
        supply: &Supply,
    ) -> Result<View, ViewError> {
        let (kind, numbers) = (view.kind().computed()?, view.numbers());
        match self {
            Self::Sum | Self::Mean if kind.is_whole() => {
                // Integer sums are exact and wrap around at 64 bits, as in numpy.
                let sums = typed!(kind, T => {
                    let add = |sum: i64, number: T| sum.wrapping_add(number.long());
                    fold(numbers, kept, 0, add, i64::wrapping_add)?
                });
                if self == Self::Sum {
                    let kind = if kind == Kind::U8 { Kind::U64 } else { Kind::I64 };
                    return View::of_numbers(&sums, kept, kind, supply);
                }
                let mean = |sum: i64| sum as f64 / count as f64;
                let means: Vec<f64> = sums.into_iter().map(mean).collect();
                View::of_numbers(&means, kept, Kind::F64, supply)
            }
            Self::Sum | Self::Mean => typed!(kind, T => {
                let add = |sum, number: T| sum + number.double();
                let sums = fold(numbers, kept, 0.0, add, |one, other| one + other)?;
                let divisor = if self == Self::Mean { count as f64 } else { 1.0 };
                let made: Vec<T> = sums.iter().map(|sum| T::of_double(sum / divisor)).collect();
                View::of_numbers(&made, kept, kind, supply)
            }),
            Self::Minimum | Self::Maximum if count == 0 => {
                let name = if self == Self::Minimum { "minimum" } else { "maximum" };
                Err(ViewError::Value(format!(
                    "zero-size array to reduction operation {name} which has no identity"
                )))
            }
            Self::Minimum => typed!(kind, T => {
                let least = fold(numbers, kept, T::HIGHEST, T::lesser, T::lesser)?;
                View::of_numbers(&least, kept, kind, supply)
            }),
            Self::Maximum => typed!(kind, T => {
                let greatest = fold(numbers, kept, T::LOWEST, T::greater, T::greater)?;
                View::of_numbers(&greatest, kept, kind, supply)
            }),
            Self::Any | Self::All => typed!(kind, T => {
                let is_all = self == Self::All;
                let join = |one, other| if is_all { one && other } else { one || other };
                let is_true = |state, number: T| join(state, number.double() != 0.0);
                let made = fold(numbers, kept, is_all, is_true, join)?;
                let made: Vec<u8> = made.into_iter().map(u8::from).collect();
                View::of_numbers(&made, kept, Kind::Bool, supply)
            }),
        }
    }
}

/// The root mean square, in double precision; NaN for no numbers.
///
/// # Errors
/// `TypeError` for dtypes that views do not compute with.
pub fn rms(view: &View) -> Result<f64, ViewError> {
    let kept = vec![1; view.layout().shape().len()];
    let squares: Vec<f64> = typed!(view.kind(), T => {
        let add = |sum, number: T| sum + number.double() * number.double();
        fold(view.numbers(), &kept, 0.0, add, |one, other| one + other)?
    });
    Ok((squares[0] / view.layout().len() as f64).sqrt())
}

/// The largest absolute value; 0 for no numbers, NaN if a number is NaN; errors as of [`rms`].
pub fn peak(view: &View) -> Result<f64, ViewError> {
    let kept = vec![1; view.layout().shape().len()];
    let peaks: Vec<f64> = typed!(view.kind(), T => {
        let add = |peak: f64, number: T| peak.greater(number.double().abs());
        fold(view.numbers(), &kept, 0.0, add, f64::greater)?
    });
    Ok(peaks[0])
}
