//! What is computed in the widest kind of its sort, and then written as numpy has it: a handful of
//! loops for all kinds. Floats lose nothing on the way that numpy keeps.

use super::reduce::put;
use super::rows::{fold, map};
use super::typed::{Complex, Element, Half, Ring, Wide, typed};
use super::{Along, Found, Kind, Number, Operand, Operator, Reduction, Supply, View, ViewError};

impl View {
    /// The numbers in the widest kind of their sort.
    pub(super) fn widened(&self) -> Result<Self, ViewError> {
        let kind = self.kind()?;
        if kind == kind.widest() {
            return Ok(self.clone());
        }
        self.cast(kind.widest(), &Supply::default())
    }

    /// A wide result in its own kind, or as the number that it is; of floats in double precision.
    pub(super) fn settled(
        &self,
        kind: Kind,
        is_kept: bool,
        supply: &Supply,
    ) -> Result<Found, ViewError> {
        if !self.shape.is_empty() || is_kept {
            return self.cast(kind, supply).map(Found::View);
        }
        let is_exact = kind.is_whole();
        let wide = if is_exact { self.cast(kind, &Supply::default())? } else { self.clone() };
        wide.number(&[]).map(Found::Number)
    }

    /// The product of the numbers: of floats in double precision.
    ///
    /// # Errors
    /// `ValueError` for an axis that there is not, `TypeError` when they are no numbers.
    pub fn product(&self, along: &Along, supply: &Supply) -> Result<Found, ViewError> {
        let wide = self.widened()?;
        let (moved, _, shape) = wide.before(along)?;
        let kind = wide.kind()?;
        let made = Supply::default().view(&shape, kind)?.after(self, self);
        typed!(widest kind, T => {
            let mut states = vec![T::of(Wide::Signed(1)); made.len()];
            fold(&moved, &mut states, |state: T, number: T| state.times(number));
            put(made.block.as_mut_slice(), states.into_iter());
        }, else ());
        made.settled(self.kind()?.of_sums(), along.is_kept, supply)
    }

    /// The variance, with the count of numbers less `ddof` as divisor.
    ///
    /// # Errors
    /// `ValueError` for an axis that there is not, `TypeError` when they are no numbers.
    pub fn variance(&self, along: &Along, ddof: f64, supply: &Supply) -> Result<Found, ViewError> {
        let kind = self.kind()?.of_means().of_parts();
        self.wide_variance(along, ddof)?.settled(kind, along.is_kept, supply)
    }

    /// The standard deviation: the root of the variance.
    ///
    /// # Errors
    /// As [`View::variance`].
    pub fn deviation(&self, along: &Along, ddof: f64, supply: &Supply) -> Result<Found, ViewError> {
        let kind = self.kind()?.of_means().of_parts();
        let variance = self.wide_variance(along, ddof)?;
        let made = Supply::default().view(&variance.shape, Kind::F64)?.after(self, self);
        map(&variance, made.block.as_mut_slice(), f64::sqrt);
        made.settled(kind, along.is_kept, supply)
    }

    fn wide_variance(&self, along: &Along, ddof: f64) -> Result<Self, ViewError> {
        let private = Supply::default();
        let operated = |operator: Operator, one: &Self, two: &Self| {
            let (one, two) = (Operand::View(one.clone()), Operand::View(two.clone()));
            operator.apply(&one, &two, &private)
        };
        let kept = Along { is_kept: true, ..along.clone() };
        let wide = self.cast(self.kind()?.of_means().widest(), &private)?;
        let mean = wide.reduced_along(&kept, Reduction::Mean, &private)?;
        let off = operated(Operator::Subtract, &wide, &mean)?;
        let squared = |part: Self| operated(Operator::Multiply, &part, &part);
        let mut squares = squared(off.real_part()?)?;
        if wide.kind()? == Kind::C128 {
            let others = squared(off.imaginary_part(&private)?)?;
            squares = operated(Operator::Add, &squares, &others)?;
        }
        let (_, count, _) = squares.before(along)?;
        let sums = squares.reduced_along(along, Reduction::Sum, &private)?;
        #[expect(clippy::cast_precision_loss, reason = "more elements than 2^53 fit no memory")]
        let divisor = Operand::Number(Number::Float((count as f64 - ddof).max(0.0)));
        Operator::Divide.apply(&Operand::View(sums), &divisor, &private)
    }

    /// Where the smallest or the largest number stands: along an axis, or among all in C order. The
    /// first of several; what is no number counts as both.
    ///
    /// # Errors
    /// `ValueError` for an axis that there is not and when there are no numbers, `TypeError` when
    /// they are none.
    pub fn place_of(
        &self,
        is_smallest: bool,
        axis: Option<isize>,
        is_kept: bool,
        supply: &Supply,
    ) -> Result<Found, ViewError> {
        let wide = self.widened()?;
        let along = Along { axes: axis.map(|axis| vec![axis]), is_kept };
        let (moved, count, shape) = wide.before(&along)?;
        if count == 0 {
            let name = if is_smallest { "argmin" } else { "argmax" };
            let message = format!("attempt to get {name} of an empty sequence");
            return Err(ViewError::Value(message));
        }
        let made = Supply::default().view(&shape, Kind::I64)?.after(self, self);
        typed!(widest wide.kind()?, T => {
            let is_better = |one: T, other: T| if is_smallest { one < other } else { one > other };
            // The best one, its place, and the place of the next number.
            let mut states: Vec<(Option<T>, i64, i64)> = vec![(None, 0, 0); made.len()];
            fold(&moved, &mut states, |(best, place, next), number: T| {
                let is_new = best.is_none_or(|best| {
                    is_better(number, best) || (number.is_nan() && !best.is_nan())
                });
                if is_new { (Some(number), next, next + 1) } else { (best, place, next + 1) }
            });
            put(made.block.as_mut_slice(), states.into_iter().map(|(_, place, _)| place));
        }, else ());
        made.settled(Kind::I64, is_kept, supply)
    }

    /// The sums of all numbers up to each one, along an axis or of all in C order.
    ///
    /// # Errors
    /// `ValueError` for an axis that there is not, `TypeError` when they are no numbers.
    pub fn running_sum(&self, axis: Option<isize>, supply: &Supply) -> Result<Self, ViewError> {
        let Some(axis) = axis else {
            return self.raveled(&Supply::default())?.running_sum(Some(0), supply);
        };
        let axis = super::index::axis(axis, self.shape.len())?;
        let kind = self.kind()?.of_sums();
        let made = self.cast(kind, supply)?;
        // How many elements further the next one of the axis lies.
        let width: usize = self.shape[axis + 1..].iter().product();
        let (bytes, length) = (made.block.as_mut_slice(), self.shape[axis]);
        // Sums of integers wrap around alike with and without signs.
        typed!(fields kind, T => accumulate::<T>(bytes, width, length), else {
            accumulate::<i64>(bytes, width, length);
        });
        Ok(made)
    }

    /// The product of vectors and matrices, as `@` has it.
    ///
    /// # Errors
    /// `ValueError` for lengths that do not fit, `TypeError` for more than two axes or no numbers.
    pub fn times(&self, other: &Self, supply: &Supply) -> Result<Found, ViewError> {
        let kind = self.kind()?.common(other.kind()?);
        for view in [self, other] {
            let shape = view.shape_text();
            match view.shape.len() {
                0 => return Err(ViewError::Value("matmul of a view without axes".to_owned())),
                1 | 2 => {}
                _ => {
                    let message = format!("'AudioView' @ takes one or two axes, not shape {shape}");
                    return Err(ViewError::Type(message));
                }
            }
        }
        let (rows, inner) = self.shape.split_at(self.shape.len() - 1);
        let (length, columns) = other.shape.split_at(1);
        if inner != length {
            return Err(ViewError::Value(format!(
                "matmul: shapes {} and {} do not fit: {} is different from {}",
                self.shape_text(),
                other.shape_text(),
                inner[0],
                length[0]
            )));
        }
        let private = Supply::default();
        let made = private.view(&[rows, columns].concat(), kind.widest())?.after(self, other);
        let (one, two) =
            (self.cast(kind.widest(), &private)?, other.cast(kind.widest(), &private)?);
        typed!(widest kind.widest(), T => {
            let (ones, twos) = (one.numbers::<T>(), two.numbers::<T>());
            let width = columns.first().copied().unwrap_or(1);
            put(made.block.as_mut_slice(), multiplied(&ones, &twos, inner[0], width).into_iter());
        }, else ());
        made.settled(kind, false, supply)
    }

    /// The numbers of a view in C order without gaps.
    fn numbers<T: Element>(&self) -> Vec<T> {
        let bytes = self.contiguous_bytes().unwrap_or(&[]);
        bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
    }

    /// Whether an element equals a number or, where views are compared, one of them does.
    ///
    /// # Errors
    /// As [`Operator::apply`].
    pub fn contains(&self, value: &Operand) -> Result<bool, ViewError> {
        let own = Operand::View(self.clone());
        let equal = Operator::Equal.apply(&own, value, &Supply::default())?;
        Ok(equal.contiguous_bytes().unwrap_or(&[]).contains(&1))
    }
}

/// Adds to each number the sum of those before it on an axis of this length, whose elements lie
/// `width` apart.
fn accumulate<T: Ring>(bytes: &mut [u8], width: usize, length: usize) {
    let size = size_of::<T>();
    let read = |bytes: &[u8], place: usize| -> T {
        bytemuck::pod_read_unaligned(&bytes[place * size..(place + 1) * size])
    };
    for place in width..bytes.len() / size {
        if !(place / width).is_multiple_of(length) {
            let sum = read(bytes, place - width).plus(read(bytes, place));
            bytes[place * size..(place + 1) * size].copy_from_slice(bytemuck::bytes_of(&sum));
        }
    }
}

/// Rows of `inner` numbers times a matrix whose rows have `width` numbers.
fn multiplied<T: Ring>(ones: &[T], twos: &[T], inner: usize, width: usize) -> Vec<T> {
    let rows = ones.len().checked_div(inner).unwrap_or(0);
    let mut made = vec![T::of(Wide::Signed(0)); rows * width];
    if inner == 0 || width == 0 {
        return made;
    }
    for (row, target) in ones.chunks_exact(inner).zip(made.chunks_exact_mut(width)) {
        for (&factor, line) in row.iter().zip(twos.chunks_exact(width)) {
            for (sum, &number) in target.iter_mut().zip(line) {
                *sum = sum.plus(factor.times(number));
            }
        }
    }
    made
}
