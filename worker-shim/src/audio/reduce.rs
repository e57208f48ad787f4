//! Many numbers to one: along axes or over all of them.

use super::operate::{greater, lesser};
use super::rows::{fold, fold_in_lanes};
use super::typed::{Element, Truth, typed};
use super::{Found, Kind, Number, Numeric, Supply, View, ViewError, index};

/// What becomes of the numbers of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum: of floats in double precision, then rounded to their dtype.
    Sum,
    /// Their mean, in double precision; NaN of no numbers.
    Mean,
    /// The smallest one.
    Minimum,
    /// The largest one.
    Maximum,
    /// Whether one of them is not zero.
    Any,
    /// Whether none of them is zero.
    All,
}

/// The axes that a reduction goes along.
#[derive(Debug, Clone, Default)]
pub struct Along {
    /// Their numbers; all axes without them.
    pub axes: Option<Vec<isize>>,
    /// Whether they stay, with length 1.
    pub is_kept: bool,
}

impl View {
    /// The elements reduced: a number where no axis is left, else a view.
    ///
    /// # Errors
    /// `ValueError` for an axis that there is not and for the smallest of no numbers, `TypeError`
    /// for dtypes that are only passed on.
    pub fn reduced(
        &self,
        reduction: Reduction,
        along: &Along,
        supply: &Supply,
    ) -> Result<Found, ViewError> {
        let made = self.reduced_along(along, reduction, supply)?;
        if made.shape.is_empty() && !along.is_kept {
            return made.number(&[]).map(Found::Number);
        }
        Ok(Found::View(made))
    }

    fn reduced_along(
        &self,
        along: &Along,
        reduction: Reduction,
        supply: &Supply,
    ) -> Result<Self, ViewError> {
        let (moved, count, shape) = self.before(along)?;
        let kind = self.numeric()?;
        let made_kind = match reduction {
            Reduction::Sum => kind.of_sums(),
            Reduction::Mean => kind.of_means().kind(),
            Reduction::Minimum | Reduction::Maximum => self.kind,
            Reduction::Any | Reduction::All => Kind::Bool,
        };
        let made = supply.view(&shape, made_kind)?;
        let target = made.block.as_mut_slice();
        if !made.is_empty() {
            match reduction {
                Reduction::Sum | Reduction::Mean if kind.is_whole() => {
                    moved.sum_integers(kind, count, reduction, target);
                }
                Reduction::Sum | Reduction::Mean => {
                    moved.sum_floats(kind, count, reduction, target);
                }
                Reduction::Minimum | Reduction::Maximum => {
                    moved.extreme_to(kind, count, reduction, target)?;
                }
                Reduction::Any | Reduction::All => moved.truth_to(kind, reduction, target),
            }
        }
        Ok(made.after(self, self))
    }

    /// The view with the axes before all others, how many elements they have, and the shape of the
    /// result.
    fn before(&self, along: &Along) -> Result<(Self, usize, Vec<usize>), ViewError> {
        let axes = self.shape.len();
        let chosen = match &along.axes {
            Some(given) => index::axes(given, axes)?,
            None => (0..axes).collect(),
        };
        let others: Vec<usize> = (0..axes).filter(|axis| !chosen.contains(axis)).collect();
        let count = chosen.iter().map(|&axis| self.shape[axis]).product();
        let shape = if along.is_kept {
            let length = |axis| if chosen.contains(&axis) { 1 } else { self.shape[axis] };
            (0..axes).map(length).collect()
        } else {
            others.iter().map(|&axis| self.shape[axis]).collect()
        };
        Ok((self.permuted(&[chosen, others].concat()), count, shape))
    }

    /// Exactly, wrapping around at 64 bits as in numpy.
    fn sum_integers(&self, kind: Numeric, count: usize, what: Reduction, target: &mut [u8]) {
        let mut sums = vec![0_i64; target.len() / size_of::<i64>()];
        typed!(kind, T => {
            fold(self, &mut sums, |sum: i64, number: T| sum.wrapping_add(number.long()));
        });
        if what == Reduction::Sum {
            put(target, sums.into_iter());
        } else {
            put(target, sums.into_iter().map(|sum| f64::of_long(sum) / double(count)));
        }
    }

    fn sum_floats(&self, kind: Numeric, count: usize, what: Reduction, target: &mut [u8]) {
        typed!(kind, T => {
            let mut sums = vec![0.0; target.len() / size_of::<T>()];
            if let [sum] = sums.as_mut_slice() {
                *sum = fold_in_lanes::<T>(self, |sum, number| sum + number, |a, b| a + b);
            } else {
                fold(self, &mut sums, |sum, number: T| sum + number.double());
            }
            let divisor = if what == Reduction::Mean { double(count) } else { 1.0 };
            put(target, sums.into_iter().map(|sum| T::of_double(sum / divisor)));
        });
    }

    fn extreme_to(
        &self,
        kind: Numeric,
        count: usize,
        reduction: Reduction,
        target: &mut [u8],
    ) -> Result<(), ViewError> {
        let name = if reduction == Reduction::Minimum { "minimum" } else { "maximum" };
        if count == 0 {
            return Err(ViewError::Value(format!(
                "zero-size array to reduction operation {name} which has no identity"
            )));
        }
        typed!(kind, T => {
            let mut states: Vec<Option<T>> = vec![None; target.len() / size_of::<T>()];
            let choose = if reduction == Reduction::Minimum { lesser::<T> } else { greater::<T> };
            fold(self, &mut states, |state: Option<T>, number: T| {
                Some(state.map_or(number, |state| choose(state, number)))
            });
            put(target, states.into_iter().flatten());
        });
        Ok(())
    }

    fn truth_to(&self, kind: Numeric, reduction: Reduction, target: &mut [u8]) {
        let is_all = reduction == Reduction::All;
        let mut states = vec![is_all; target.len()];
        typed!(kind, T => fold(self, &mut states, |state, number: T| {
            let is_true = number.double() != 0.0;
            if is_all { state && is_true } else { state || is_true }
        }));
        put(target, states.into_iter().map(|truth| Truth(u8::from(truth))));
    }

    /// The root of the mean square, in double precision; NaN of no numbers.
    ///
    /// # Errors
    /// `TypeError` for dtypes that are only passed on.
    pub fn rms(&self) -> Result<f64, ViewError> {
        let squares = typed!(self.numeric()?, T => {
            fold_in_lanes::<T>(self, |sum, number| sum + number * number, |a, b| a + b)
        });
        Ok((squares / double(self.len())).sqrt())
    }

    /// The largest magnitude; 0 of no numbers, NaN where one is NaN.
    ///
    /// # Errors
    /// As [`View::rms`].
    pub fn peak(&self) -> Result<f64, ViewError> {
        Ok(typed!(self.numeric()?, T => {
            fold_in_lanes::<T>(self, |peak, number| greater(peak, number.abs()), greater::<f64>)
        }))
    }

    /// Whether the only element is not zero.
    ///
    /// # Errors
    /// `ValueError` when there is not exactly one, as in numpy.
    pub fn truth(&self) -> Result<bool, ViewError> {
        match self.len() {
            1 => Ok(self.single()?.is_true()),
            0 => Err(ViewError::Value(
                "The truth value of an empty array is ambiguous. Use `array.size > 0` to check \
                 that an array is not empty."
                    .to_owned(),
            )),
            _ => Err(ViewError::Value(
                "The truth value of an array with more than one element is ambiguous. Use a.any() \
                 or a.all()"
                    .to_owned(),
            )),
        }
    }

    /// The only element.
    ///
    /// # Errors
    /// `TypeError` when there is not exactly one, as in numpy.
    pub fn single(&self) -> Result<Number, ViewError> {
        if self.len() != 1 {
            let message = "only length-1 arrays can be converted to Python scalars";
            return Err(ViewError::Type(message.to_owned()));
        }
        self.number(&vec![0; self.shape.len()])
    }
}

#[expect(clippy::cast_precision_loss, reason = "more elements than 2^53 fit no memory")]
fn double(count: usize) -> f64 {
    count as f64
}

fn put<T: bytemuck::Pod>(target: &mut [u8], numbers: impl Iterator<Item = T>) {
    for (place, number) in target.chunks_exact_mut(size_of::<T>()).zip(numbers) {
        place.copy_from_slice(bytemuck::bytes_of(&number));
    }
}
