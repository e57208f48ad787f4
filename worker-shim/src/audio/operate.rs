//! Operators between views and numbers, with numpy's results.

use std::cmp::Ordering;

use super::rows::{combine, fold, map};
use super::typed::{Element, Truth, typed};
use super::{Kind, Number, Numeric, Operand, Operator, Supply, Unary, View, ViewError};

impl Operator {
    /// The result of the operator.
    ///
    /// # Errors
    /// `ValueError` for shapes that do not fit and negative exponents of integers, `TypeError` for
    /// dtypes that do not have the operator, `OverflowError` for a number that fits no element.
    pub fn apply(
        self,
        left: &Operand,
        right: &Operand,
        supply: &Supply,
    ) -> Result<View, ViewError> {
        let common = self.common(left, right)?;
        if let Some(made) = self.compared_far(common, left, right, supply) {
            return made;
        }
        let kind = self.computed_in(common);
        let (left, right) = (left.in_kind(kind)?, right.in_kind(kind)?);
        let shape = left.common_shape(&right)?;
        let made_kind = if self.is_comparison() { Kind::Bool } else { kind.kind() };
        let made = supply.view(&shape, made_kind)?;
        let (one, two) = (left.stretched(&shape), right.stretched(&shape));
        self.compute(kind, &one, &two, made.block.as_mut_slice())?;
        Ok(made.after(&left, &right))
    }

    /// The dtype that has the numbers of both operands.
    fn common(self, left: &Operand, right: &Operand) -> Result<Numeric, ViewError> {
        let (view, number) = match (left, right) {
            (Operand::View(left), Operand::View(right)) => {
                return Ok(left.numeric()?.common(right.numeric()?));
            }
            (Operand::View(view), Operand::Number(number))
            | (Operand::Number(number), Operand::View(view)) => (view.numeric()?, *number),
            (Operand::Number(_), Operand::Number(_)) => {
                return Err(ViewError::Type("an operator without a view".to_owned()));
            }
        };
        match (view, number) {
            // A comparison's own dtype shows nowhere.
            (Numeric::Bool, Number::Int(_)) if self.is_comparison() => Ok(Numeric::I32),
            (Numeric::Bool, Number::Int(_)) if self == Self::Divide => Ok(Numeric::F64),
            _ => view.common_with_number(number),
        }
    }

    fn compute(
        self,
        kind: Numeric,
        one: &View,
        two: &View,
        target: &mut [u8],
    ) -> Result<(), ViewError> {
        macro_rules! compared {
            ($operator:tt) => {
                typed!(kind, T => combine(one, two, target, |a: T, b: T| {
                    Truth(u8::from(a $operator b))
                }))
            };
        }
        let both = [one, two];
        match (self, kind) {
            // Of truths a sum is `or` and a product is `and`: not zero is true.
            (Self::Add, _) => arithmetic(kind, both, target, i64::wrapping_add, |a, b| a + b),
            (Self::Multiply, _) => {
                arithmetic(kind, both, target, i64::wrapping_mul, |a, b| a * b);
            }
            (Self::And, Numeric::Bool) | (Self::Minimum, _) => {
                typed!(kind, T => combine::<T, T, T>(one, two, target, lesser));
            }
            (Self::Or, Numeric::Bool) | (Self::Maximum, _) => {
                typed!(kind, T => combine::<T, T, T>(one, two, target, greater));
            }
            (Self::Less, _) => compared!(<),
            (Self::LessEqual, _) => compared!(<=),
            (Self::Equal, _) => compared!(==),
            (Self::NotEqual, _) => compared!(!=),
            (Self::Greater, _) => compared!(>),
            (Self::GreaterEqual, _) => compared!(>=),
            (_, Numeric::Bool) | (Self::And | Self::Or, _) => {
                return Err(refused(self.symbol(), kind));
            }
            (Self::Subtract, _) => {
                arithmetic(kind, both, target, i64::wrapping_sub, |a, b| a - b);
            }
            (Self::Divide, Numeric::F32) => combine(one, two, target, |a: f32, b: f32| a / b),
            (Self::Divide, _) => combine(one, two, target, |a: f64, b: f64| a / b),
            (Self::FloorDivide, _) => {
                arithmetic(kind, both, target, floor_divided, floor_of_quotient);
            }
            (Self::Remainder, _) => {
                arithmetic(kind, both, target, remainder, remainder_of_floats);
            }
            (Self::Power, _) => {
                check_exponents(kind, two)?;
                arithmetic(
                    kind,
                    both,
                    target,
                    power,
                    |a, b| {
                        if b == 2.0 { a * a } else { a.powf(b) }
                    },
                );
            }
        }
        Ok(())
    }

    /// A comparison with an integer beyond the dtype's range: the same for every element.
    fn compared_far(
        self,
        common: Numeric,
        left: &Operand,
        right: &Operand,
        supply: &Supply,
    ) -> Option<Result<View, ViewError>> {
        let (view, number, is_left) = match (left, right) {
            (Operand::View(view), Operand::Number(Number::Int(number))) => (view, number, true),
            (Operand::Number(Number::Int(number)), Operand::View(view)) => (view, number, false),
            _ => return None,
        };
        if common.has(*number) {
            return None;
        }
        let order = if (*number > 0) == is_left { Ordering::Less } else { Ordering::Greater };
        let holds = self.holds(Some(order))?;
        Some(supply.view(&view.shape, Kind::Bool).map(|made| {
            made.block.as_mut_slice().fill(u8::from(holds));
            made.after(view, view)
        }))
    }
}

/// Writes what a function of integers, or one of floats, makes of the numbers of two views.
fn arithmetic(
    kind: Numeric,
    [one, two]: [&View; 2],
    target: &mut [u8],
    whole: impl Fn(i64, i64) -> i64,
    float: impl Fn(f64, f64) -> f64,
) {
    typed!(kind, T => combine(one, two, target, |a: T, b: T| {
        if T::IS_WHOLE {
            T::of_long(whole(a.long(), b.long()))
        } else {
            T::of_double(float(a.double(), b.double()))
        }
    }));
}

impl Unary {
    /// The result of the operator.
    ///
    /// # Errors
    /// `TypeError` for dtypes that do not have the operator.
    pub fn apply(self, view: &View, supply: &Supply) -> Result<View, ViewError> {
        let kind = view.numeric()?;
        let made = supply.view(&view.shape, view.kind)?;
        let target = made.block.as_mut_slice();
        match (self, kind) {
            (Self::Invert, Numeric::Bool) => {
                map(view, target, |truth: Truth| Truth(u8::from(truth.0 == 0)));
            }
            (Self::Invert, _) | (Self::Negative | Self::Positive, Numeric::Bool) => {
                return Err(refused(self.symbol(), kind));
            }
            (Self::Positive, _) => return view.cast(view.kind, supply),
            (Self::Negative, _) => typed!(kind, T => map(view, target, |number: T| {
                if T::IS_WHOLE { T::of_long(-number.long()) } else { T::of_double(-number.double()) }
            })),
            (Self::Absolute, _) => typed!(kind, T => map(view, target, |number: T| {
                if T::IS_WHOLE {
                    T::of_long(number.long().abs())
                } else {
                    T::of_double(number.double().abs())
                }
            })),
        }
        Ok(made.after(view, view))
    }
}

impl Operand {
    /// The operand as a view of numbers of this dtype.
    fn in_kind(&self, kind: Numeric) -> Result<View, ViewError> {
        let number = match self {
            Self::View(view) => return view.in_kind(kind.kind()),
            Self::Number(number) => *number,
        };
        if let Number::Int(whole) = number
            && !kind.has(whole)
        {
            let message = format!("Python integer {whole} out of bounds for {}", kind.name());
            return Err(ViewError::Overflow(message));
        }
        let single = Supply::default().view(&[], kind.kind())?;
        single.fill(number)?;
        Ok(single)
    }
}

impl View {
    /// The view itself, or a copy in another dtype.
    fn in_kind(&self, kind: Kind) -> Result<Self, ViewError> {
        if self.kind == kind { Ok(self.clone()) } else { self.cast(kind, &Supply::default()) }
    }

    /// The numbers in another dtype, in memory of their own: integers wrap around as in numpy.
    ///
    /// # Errors
    /// `TypeError` for dtypes that are only passed on, `MemoryError` when there is no memory.
    pub fn cast(&self, kind: Kind, supply: &Supply) -> Result<Self, ViewError> {
        if kind == self.kind {
            return self.copied_to(supply.block(self.len_bytes()));
        }
        let (own, other) = (self.kind.numeric()?, kind.numeric()?);
        let made = supply.view(&self.shape, kind)?;
        let target = made.block.as_mut_slice();
        typed!(own, A => typed!(other, B => map(self, target, |number: A| number.cast::<B>())));
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
        // As in numpy an integer beyond the range of the dtype is no bound.
        let range = self.numeric()?.range();
        let low = low.filter(|bound| match (bound, range) {
            (Operand::Number(Number::Int(bound)), Some((lowest, _))) => *bound > lowest,
            _ => true,
        });
        let high = high.filter(|bound| match (bound, range) {
            (Operand::Number(Number::Int(bound)), Some((_, highest))) => *bound < highest,
            _ => true,
        });
        let own = Operand::View(self.clone());
        match (low, high) {
            (Some(low), Some(high)) => {
                let raised = Operator::Maximum.apply(&own, low, &Supply::default())?;
                Operator::Minimum.apply(&Operand::View(raised), high, supply)
            }
            (Some(low), None) => Operator::Maximum.apply(&own, low, supply),
            (None, Some(high)) => Operator::Minimum.apply(&own, high, supply),
            (None, None) => self.cast(self.kind, supply),
        }
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

    /// The view as result of an operator: a single number where both were, at the rate of either.
    pub(super) fn after(self, left: &Self, right: &Self) -> Self {
        let is_scalar = self.shape.is_empty();
        Self { is_scalar, ..self }.at_rate(left.sample_rate_hz.or(right.sample_rate_hz))
    }
}

/// That a dtype does not have an operator. Naming the class moves the node to CPython: numpy has it
/// for some dtypes more.
fn refused(symbol: &str, kind: Numeric) -> ViewError {
    ViewError::Type(format!("an 'AudioView' of dtype {} has no operator {symbol}", kind.name()))
}

/// Integers have no negative exponents.
fn check_exponents(kind: Numeric, exponents: &View) -> Result<(), ViewError> {
    let mut is_negative = [false];
    typed!(kind, T => fold(exponents, &mut is_negative, |found, number: T| {
        found || (T::IS_WHOLE && number.long() < 0)
    }));
    if is_negative[0] {
        let message = "Integers to negative integer powers are not allowed.";
        return Err(ViewError::Value(message.to_owned()));
    }
    Ok(())
}

/// The exponent is not negative.
fn power(base: i64, mut exponent: i64) -> i64 {
    let (mut result, mut square) = (1_i64, base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        exponent >>= 1;
    }
    result
}

/// Rounded down; 0 of a division by zero, as in numpy.
fn floor_divided(a: i64, b: i64) -> i64 {
    if b == 0 { 0 } else { a.div_euclid(b) - i64::from(b < 0 && a.rem_euclid(b) != 0) }
}

/// With the sign of the divisor.
fn remainder(a: i64, b: i64) -> i64 {
    if b == 0 { 0 } else { a - b * floor_divided(a, b) }
}

fn floor_of_quotient(a: f64, b: f64) -> f64 {
    if b == 0.0 {
        return a / b;
    }
    let rest = a % b;
    let is_below = rest != 0.0 && (b < 0.0) != (rest < 0.0);
    let quotient = (a - rest) / b - if is_below { 1.0 } else { 0.0 };
    if quotient == 0.0 {
        return 0.0_f64.copysign(a / b);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

fn remainder_of_floats(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if b == 0.0 {
        return rest;
    }
    if rest == 0.0 {
        return rest.copysign(b);
    }
    if (b < 0.0) == (rest < 0.0) { rest } else { rest + b }
}

/// The smaller one; NaN wins, as in numpy.
pub(super) fn lesser<T: Element>(one: T, other: T) -> T {
    if one < other || one.is_nan() { one } else { other }
}

/// The larger one; NaN wins, as in numpy.
pub(super) fn greater<T: Element>(one: T, other: T) -> T {
    if one > other || one.is_nan() { one } else { other }
}
