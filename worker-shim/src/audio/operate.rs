//! Operators between views and numbers, with numpy's results.

use std::cmp::Ordering;

use super::promote::checked;
use super::rows::{combine, map};
use super::typed::{Complex, Element, Field, Half, Real, Ring, Truth, Wide, typed};
use super::{Block, Kind, Number, Operand, Operator, Supply, View, ViewError};

impl Operator {
    /// What the operator gives.
    ///
    /// # Errors
    /// `ValueError` for shapes that do not fit and negative exponents of integers, `TypeError` for
    /// kinds that do not have the operator, `OverflowError` for a number that fits no element.
    pub fn apply(
        self,
        left: &Operand,
        right: &Operand,
        supply: &Supply,
    ) -> Result<View, ViewError> {
        let common = match (left, right) {
            (Operand::View(left), Operand::View(right)) => left.kind()?.common(right.kind()?),
            (Operand::View(view), Operand::Number(number))
            | (Operand::Number(number), Operand::View(view)) => {
                view.kind()?.common_with_number(*number)
            }
            (Operand::Number(_), Operand::Number(_)) => {
                return Err(ViewError::Type("an operator without a view".to_owned()));
            }
        };
        if let Some(made) = self.compared_far(common, left, right, supply) {
            return made;
        }
        let kind = self.computed_in(common);
        if self.is_of_bits() && !kind.is_whole() {
            return Err(self.refused(kind));
        }
        let (left, right) = match (left, right) {
            (Operand::View(one), Operand::View(two)) if self.needs_both_signs(one, two) => {
                return self.compare_signs(one, two, supply);
            }
            (left, right) => (left.in_kind(kind)?, right.in_kind(kind)?),
        };
        let shape = left.common_shape(&right)?;
        let made_kind = if self.is_comparison() { Kind::Bool } else { kind };
        let made = supply.view(&shape, made_kind)?;
        let (one, two) = (left.stretched(&shape), right.stretched(&shape));
        self.compute(kind, &one, &two, made.block.as_mut_slice())?;
        Ok(made.after(&left, &right))
    }

    fn compute(
        self,
        kind: Kind,
        one: &View,
        two: &View,
        target: &mut [u8],
    ) -> Result<(), ViewError> {
        if self == Self::Power {
            check_exponents(kind, two)?;
        }
        let operator = match (self, kind) {
            // Of truths the larger one is either, the smaller one is both.
            (Self::Add | Self::Or, Kind::Bool) => Self::Maximum,
            (Self::Multiply | Self::And, Kind::Bool) => Self::Minimum,
            (Self::Xor, Kind::Bool) => Self::NotEqual,
            (operator, _) => operator,
        };
        macro_rules! each {
            ($set:ident, $work:expr) => {
                typed!($set kind, T => combine::<T, T, T>(one, two, target, $work), else {
                    return Err(self.refused(kind));
                })
            };
        }
        macro_rules! compared {
            ($one:ident $two:ident $work:expr) => {
                typed!(elements kind, T => combine($one, $two, target, |a: T, b: T| {
                    Truth(u8::from($work(&a, &b)))
                }))
            };
        }
        match operator {
            Self::Add => each!(rings, Ring::plus),
            Self::Subtract => each!(rings, Ring::minus),
            Self::Multiply => each!(rings, Ring::times),
            Self::Power => each!(rings, Ring::power),
            Self::Divide => each!(fields, Field::over),
            Self::FloorDivide => each!(reals, Real::floor_over),
            Self::Remainder => each!(reals, Real::modulo),
            Self::Minimum => {
                typed!(elements kind, T => combine::<T, T, T>(one, two, target, lesser))
            }
            Self::Maximum => {
                typed!(elements kind, T => combine::<T, T, T>(one, two, target, greater));
            }
            Self::Less => compared!(one two PartialOrd::lt),
            Self::LessEqual => compared!(one two PartialOrd::le),
            Self::Greater => compared!(two one PartialOrd::lt),
            Self::GreaterEqual => compared!(two one PartialOrd::le),
            Self::Equal => compared!(one two PartialEq::eq),
            Self::NotEqual => compared!(one two PartialEq::ne),
            Self::And | Self::Or | Self::Xor | Self::LeftShift | Self::RightShift => {
                operator.compute_bits(kind, one, two, target);
            }
        }
        Ok(())
    }

    fn refused(self, kind: Kind) -> ViewError {
        let (symbol, name) = (self.symbol(), kind.name());
        ViewError::Type(format!("numbers of dtype {name} do not have the operator {symbol}"))
    }

    /// A comparison with an integer beyond the kind's range: the same for every element.
    fn compared_far(
        self,
        common: Kind,
        left: &Operand,
        right: &Operand,
        supply: &Supply,
    ) -> Option<Result<View, ViewError>> {
        let (view, number, is_left) = match (left, right) {
            (Operand::View(view), Operand::Number(Number::Int(number))) => (view, number, true),
            (Operand::Number(Number::Int(number)), Operand::View(view)) => (view, number, false),
            _ => return None,
        };
        if !common.is_whole() || common.has(*number) {
            return None;
        }
        let order = if (*number > 0) == is_left { Ordering::Less } else { Ordering::Greater };
        let holds = self.holds(Some(order))?;
        Some(supply.view(&view.shape, Kind::Bool).map(|made| {
            made.block.as_mut_slice().fill(u8::from(holds));
            made.after(view, view)
        }))
    }

    /// Whether a comparison has to look at integers that no kind has together.
    fn needs_both_signs(self, one: &View, two: &View) -> bool {
        let is_signed = |view: &View| matches!(view.kind, Some(kind) if kind.is_signed());
        self.is_comparison()
            && ((one.kind == Some(Kind::U64) && is_signed(two))
                || (two.kind == Some(Kind::U64) && is_signed(one)))
    }

    fn compare_signs(self, one: &View, two: &View, supply: &Supply) -> Result<View, ViewError> {
        let shape = one.common_shape(two)?;
        let made = supply.view(&shape, Kind::Bool)?;
        let (unsigned, signed) = if one.kind == Some(Kind::U64) { (one, two) } else { (two, one) };
        let is_turned = one.kind != Some(Kind::U64);
        let signed = signed.cast(Kind::I64, &Supply::default())?.stretched(&shape);
        let work = |a: u64, b: i64| {
            let order = i128::from(a).cmp(&i128::from(b));
            let order = if is_turned { order.reverse() } else { order };
            Truth(u8::from(self.holds(Some(order)) == Some(true)))
        };
        combine(&unsigned.stretched(&shape), &signed, made.block.as_mut_slice(), work);
        Ok(made.after(one, two))
    }
}

impl Operand {
    /// The operand as a view of numbers of this kind.
    fn in_kind(&self, kind: Kind) -> Result<View, ViewError> {
        let number = match self {
            Self::View(view) if view.kind == Some(kind) => return Ok(view.clone()),
            Self::View(view) => return view.cast(kind, &Supply::default()),
            Self::Number(number) => Wide::from(checked(*number, kind)?),
        };
        let block = typed!(elements kind, T => Block::copy_of(bytemuck::bytes_of(&T::of(number))));
        View::over(block, kind, &[])
    }
}

impl View {
    /// The numbers in another kind, in memory of their own: integers wrap around as in numpy.
    ///
    /// # Errors
    /// `TypeError` when there are no numbers, `MemoryError` when there is no memory.
    pub fn cast(&self, kind: Kind, supply: &Supply) -> Result<Self, ViewError> {
        let made = supply.view(&self.shape, kind)?;
        self.cast_to(kind, made.block.as_mut_slice())?;
        Ok(made.after(self, self))
    }

    /// The numbers, but none below the one bound or above the other.
    ///
    /// # Errors
    /// As [`Operator::apply`].
    pub fn clip(
        &self,
        low: Option<&Operand>,
        high: Option<&Operand>,
        supply: &Supply,
    ) -> Result<Self, ViewError> {
        let own = Operand::View(self.clone());
        match (low, high) {
            (Some(low), Some(high)) => {
                let raised = Operator::Maximum.apply(&own, low, &Supply::default())?;
                Operator::Minimum.apply(&Operand::View(raised), high, supply)
            }
            (Some(low), None) => Operator::Maximum.apply(&own, low, supply),
            (None, Some(high)) => Operator::Minimum.apply(&own, high, supply),
            (None, None) => self.cast(self.kind()?, supply),
        }
    }

    fn cast_to(&self, kind: Kind, target: &mut [u8]) -> Result<(), ViewError> {
        typed!(elements self.kind()?, A => typed!(elements kind, B => {
            map(self, target, |number: A| B::of(number.wide()));
        }));
        Ok(())
    }

    /// The view as result of an operator: a single number where both were, at the rate of either.
    pub(super) fn after(self, left: &Self, right: &Self) -> Self {
        let is_scalar = self.shape.is_empty();
        Self { is_scalar, ..self }.at_rate(left.sample_rate_hz.or(right.sample_rate_hz))
    }
}

/// Integers have no negative exponents.
fn check_exponents(kind: Kind, exponents: &View) -> Result<(), ViewError> {
    if !kind.is_signed() {
        return Ok(());
    }
    let mut is_negative = [false];
    typed!(reals kind, T => {
        super::rows::fold(exponents, &mut is_negative, |found, number: T| {
            found || number < T::of(Wide::Signed(0))
        });
    }, else ());
    if is_negative[0] {
        let message = "Integers to negative integer powers are not allowed.";
        return Err(ViewError::Value(message.to_owned()));
    }
    Ok(())
}

/// The smaller one; what is no number wins, as in numpy.
pub(super) fn lesser<T: Element>(one: T, other: T) -> T {
    if one < other || one.is_nan() { one } else { other }
}

/// The larger one; what is no number wins, as in numpy.
pub(super) fn greater<T: Element>(one: T, other: T) -> T {
    if one > other || one.is_nan() { one } else { other }
}
