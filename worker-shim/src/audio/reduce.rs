//! Many numbers to one: along an axis or over all of them.

use super::operate::{greater, lesser};
use super::rows::fold;
use super::typed::{Complex, Element, Half, Truth, Wide, typed};
use super::{Kind, Number, Supply, View, ViewError};

/// What becomes of the numbers of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum: of floats in double precision.
    Sum,
    /// Their mean; NaN of no numbers.
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

/// Sums on their way: of whole numbers exactly, wrapping around at 64 bits as in numpy.
#[derive(Clone, Copy, Default)]
struct Total {
    whole: i64,
    real: f64,
    imaginary: f64,
}

impl Total {
    fn with(self, number: Wide) -> Self {
        let Self { whole, real, imaginary } = self;
        match number {
            Wide::Signed(number) => Self { whole: whole.wrapping_add(number), ..self },
            Wide::Unsigned(number) => {
                Self { whole: whole.wrapping_add(number.cast_signed()), ..self }
            }
            Wide::Float(number) => Self { real: real + number, ..self },
            Wide::Complex(a, b) => Self { whole, real: real + a, imaginary: imaginary + b },
        }
    }

    fn sum(self, kind: Kind) -> Wide {
        match kind {
            Kind::C64 | Kind::C128 => Wide::Complex(self.real, self.imaginary),
            kind if kind.is_whole() => Wide::Signed(self.whole),
            _ => Wide::Float(self.real),
        }
    }

    /// Of the sums of a kind and their count; those of whole numbers were made in doubles.
    fn mean(self, kind: Kind, count: f64) -> Wide {
        match kind {
            Kind::C64 | Kind::C128 => Wide::Complex(self.real / count, self.imaginary / count),
            _ => Wide::Float(self.real / count),
        }
    }
}

impl View {
    /// The single number that the elements come to.
    ///
    /// # Errors
    /// As [`View::reduced_along`].
    pub fn reduced(&self, reduction: Reduction) -> Result<Number, ViewError> {
        match reduction {
            Reduction::Sum => self.sum(),
            Reduction::Mean => self.mean(),
            _ => self.reduced_along(None, false, reduction, &Supply::default())?.number(&[]),
        }
    }

    /// A view with a number for each place beside the axis, or one for all; the axis stays with
    /// length 1 if it is to be kept.
    ///
    /// # Errors
    /// `ValueError` for an axis that there is not and for the smallest of no numbers, `TypeError` when they are no numbers.
    pub fn reduced_along(
        &self,
        axis: Option<isize>,
        is_kept: bool,
        reduction: Reduction,
        supply: &Supply,
    ) -> Result<Self, ViewError> {
        let (moved, count, shape) = self.before(axis, is_kept)?;
        let kind = self.kind()?;
        let made_kind = match reduction {
            Reduction::Sum => kind.of_sums(),
            Reduction::Mean => kind.of_means(),
            Reduction::Minimum | Reduction::Maximum => kind,
            Reduction::Any | Reduction::All => Kind::Bool,
        };
        let made = supply.view(&shape, made_kind)?;
        let target = made.block.as_mut_slice();
        if !made.is_empty() {
            match reduction {
                Reduction::Sum | Reduction::Mean => moved.total_to(target, count, reduction)?,
                Reduction::Minimum | Reduction::Maximum => {
                    moved.extreme_to(target, count, reduction)?;
                }
                Reduction::Any | Reduction::All => moved.truth_to(target, reduction)?,
            }
        }
        Ok(made.after(self, self))
    }

    /// The view with the axis before all others, its length, and the shape of what is left.
    fn before(
        &self,
        axis: Option<isize>,
        is_kept: bool,
    ) -> Result<(Self, usize, Vec<usize>), ViewError> {
        let Some(axis) = axis else {
            let shape = if is_kept { vec![1; self.shape.len()] } else { Vec::new() };
            return Ok((self.clone(), self.len(), shape));
        };
        let axis = super::index::axis(axis, self.shape.len())?;
        let mut order: Vec<usize> = (0..self.shape.len()).collect();
        order.remove(axis);
        order.insert(0, axis);
        let mut shape = self.shape.clone();
        if is_kept {
            shape[axis] = 1;
        } else {
            shape.remove(axis);
        }
        Ok((self.permuted(&order), self.shape[axis], shape))
    }

    fn total_to(
        &self,
        target: &mut [u8],
        count: usize,
        reduction: Reduction,
    ) -> Result<(), ViewError> {
        let kind = self.kind()?;
        let is_mean = reduction == Reduction::Mean;
        let made_kind = if is_mean { kind.of_means() } else { kind.of_sums() };
        let mut totals = vec![Total::default(); target.len() / made_kind.bytes()];
        typed!(elements kind, T => if is_mean && kind.is_whole() {
            fold(self, &mut totals, |total, number: T| {
                total.with(Wide::Float(f64::of(number.wide())))
            });
        } else {
            fold(self, &mut totals, |total: Total, number: T| total.with(number.wide()));
        });
        #[expect(clippy::cast_precision_loss, reason = "more elements than 2^53 fit no memory")]
        let count = count as f64;
        let results = totals
            .iter()
            .map(|total| if is_mean { total.mean(kind, count) } else { total.sum(kind) });
        typed!(elements made_kind, T => put(target, results.map(T::of)));
        Ok(())
    }

    fn extreme_to(
        &self,
        target: &mut [u8],
        count: usize,
        reduction: Reduction,
    ) -> Result<(), ViewError> {
        let name = if reduction == Reduction::Minimum { "minimum" } else { "maximum" };
        if count == 0 {
            return Err(ViewError::Value(format!(
                "zero-size array to reduction operation {name} which has no identity"
            )));
        }
        typed!(elements self.kind()?, T => {
            let mut states: Vec<Option<T>> = vec![None; target.len() / size_of::<T>()];
            let choose = if reduction == Reduction::Minimum { lesser::<T> } else { greater::<T> };
            fold(self, &mut states, |state: Option<T>, number: T| {
                Some(state.map_or(number, |state| choose(state, number)))
            });
            put(target, states.into_iter().flatten());
        });
        Ok(())
    }

    fn truth_to(&self, target: &mut [u8], reduction: Reduction) -> Result<(), ViewError> {
        let is_all = reduction == Reduction::All;
        let mut states = vec![is_all; target.len()];
        typed!(elements self.kind()?, T => fold(self, &mut states, |state, number: T| {
            let is_true = Truth::of(number.wide()).0 != 0;
            if is_all { state && is_true } else { state || is_true }
        }));
        put(target, states.into_iter().map(|truth| Truth(u8::from(truth))));
        Ok(())
    }

    /// Whether the only element is not zero.
    ///
    /// # Errors
    /// `ValueError` when there is not exactly one, as in numpy.
    pub fn truth(&self) -> Result<bool, ViewError> {
        match self.len() {
            1 => Ok(self.reduced(Reduction::Any)?.is_true()),
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

fn put<T: Element>(target: &mut [u8], numbers: impl Iterator<Item = T>) {
    for (place, number) in target.chunks_exact_mut(size_of::<T>()).zip(numbers) {
        place.copy_from_slice(bytemuck::bytes_of(&number));
    }
}
