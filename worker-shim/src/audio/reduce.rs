//! Many numbers to one: along an axis or over all of them.

use super::operate::{greater, lesser};
use super::rows::fold;
use super::typed::{Complex, Element, Half, Truth, Wide, typed};
use super::{Found, Kind, Number, Supply, View, ViewError, index};

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

/// The axes that a reduction goes along.
#[derive(Debug, Clone, Default)]
pub struct Along {
    /// Their numbers; all axes without them.
    pub axes: Option<Vec<isize>>,
    /// Whether they stay, with length 1.
    pub is_kept: bool,
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
    /// What the elements come to: a number where no axis is left, else a view.
    ///
    /// # Errors
    /// `ValueError` for an axis that there is not and for the smallest of no numbers, `TypeError`
    /// when they are no numbers.
    pub fn reduced(
        &self,
        reduction: Reduction,
        along: &Along,
        supply: &Supply,
    ) -> Result<Found, ViewError> {
        let axes = along.axes.as_deref();
        let chosen = axes.map(|axes| index::axes(axes, self.shape.len())).transpose()?;
        let is_all = chosen.is_none_or(|axes| axes.len() == self.shape.len());
        if !is_all || along.is_kept {
            return self.reduced_along(along, reduction, supply).map(Found::View);
        }
        Ok(Found::Number(match reduction {
            Reduction::Sum => self.sum()?,
            Reduction::Mean => self.mean()?,
            _ => {
                self.reduced_along(&Along::default(), reduction, &Supply::default())?.number(&[])?
            }
        }))
    }

    pub(super) fn reduced_along(
        &self,
        along: &Along,
        reduction: Reduction,
        supply: &Supply,
    ) -> Result<Self, ViewError> {
        let (moved, count, shape) = self.before(along)?;
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

    /// The view with the axes before all others, how many elements they have, and the shape of what
    /// is left.
    pub(super) fn before(&self, along: &Along) -> Result<(Self, usize, Vec<usize>), ViewError> {
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

pub(super) fn put<T: Element>(target: &mut [u8], numbers: impl Iterator<Item = T>) {
    for (place, number) in target.chunks_exact_mut(size_of::<T>()).zip(numbers) {
        place.copy_from_slice(bytemuck::bytes_of(&number));
    }
}
