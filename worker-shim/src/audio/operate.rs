//! Operators between views and numbers, with numpy's results.

use super::rows::{combine, map};
use super::typed::{Element, Truth, typed};
use super::{Kind, Number, Operand, Operator, Supply, Unary, View, ViewError};

impl Operator {
    /// Applies the operator and returns a new view.
    ///
    /// # Errors
    /// `ValueError` for shapes that cannot be broadcast together, `TypeError` for dtypes without
    /// this operator, `OverflowError` for a number that does not fit the dtype.
    pub fn apply(
        self,
        left: &Operand,
        right: &Operand,
        supply: &Supply,
    ) -> Result<View, ViewError> {
        let (kind, [left, right]) = self.resolved(left, right)?;
        self.computed(kind, [&left, &right], supply)
    }

    /// Applies the operator and writes the result to its left operand, `target`.
    ///
    /// # Errors
    /// As [`Operator::apply`]; `ValueError` when `target` is read-only or its shape would change,
    /// `TypeError` when numbers of the result's dtype cannot be stored in `target`.
    pub fn apply_in_place(self, target: &View, right: &Operand) -> Result<(), ViewError> {
        let (kind, [left, right]) = self.resolved(&target.into(), right)?;
        if !kind.may_become(target.kind) {
            let (symbol, made, own) = (self.symbol(), kind.name(), target.kind.name());
            return Err(ViewError::Type(format!(
                "{symbol}= would make numbers of dtype {made}, which a view of dtype {own} cannot \
                 store; write x = x {symbol} y instead"
            )));
        }
        target.check_shape(&left.common_shape(&right)?)?;
        target.put([&left, &right], |both| self.computed(kind, both, &Supply::default()))
    }

    fn is_comparison(self) -> bool {
        use Operator::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Less | LessEqual | Equal | NotEqual | Greater | GreaterEqual)
    }

    /// The dtype to compute with, and both operands converted to that dtype.
    fn resolved(self, left: &Operand, right: &Operand) -> Result<(Kind, [View; 2]), ViewError> {
        let common = match (left, right) {
            (Operand::View(left), Operand::View(right)) => left.kind.common(right.kind)?,
            (Operand::View(view), Operand::Number(number))
            | (Operand::Number(number), Operand::View(view)) => match *number {
                // Compare as doubles: they hold all numbers of the view's dtype exactly, and the
                // result is bool in any case.
                Number::Int(whole)
                    if self.is_comparison()
                        && (view.kind == Kind::Bool || !view.kind.has(whole)) =>
                {
                    view.kind.common(Kind::F64)?
                }
                Number::Int(_) if self == Self::Divide => view.kind.computed()?,
                number => view.kind.common_with_number(number)?,
            },
            (Operand::Number(_), Operand::Number(_)) => {
                return Err(ViewError::Type("no operand of the operator is a view".to_owned()));
            }
        };
        let is_widened = self == Self::Divide && common.is_whole();
        let kind = if is_widened { Kind::F64 } else { common };
        Ok((kind, [left.in_kind(kind)?, right.in_kind(kind)?]))
    }

    fn computed(
        self,
        kind: Kind,
        [left, right]: [&View; 2],
        supply: &Supply,
    ) -> Result<View, ViewError> {
        let shape = left.common_shape(right)?;
        let made_kind = if self.is_comparison() { Kind::Bool } else { kind };
        let made = supply.view(&shape, made_kind)?.after(left, right);
        let both = [&left.stretched(&shape), &right.stretched(&shape)];
        let target = made.block.as_mut_slice();
        macro_rules! each {
            (|$a:ident, $b:ident| $made:expr) => {
                typed!(kind, T => combine(both, target, |$a: T, $b: T| $made))?
            };
        }
        match (self, kind) {
            // For bools this makes a sum `or` and a product `and`: a result that is not zero is
            // true.
            (Self::Add, _) => arithmetic(kind, both, target, i64::wrapping_add, |a, b| a + b)?,
            (Self::Multiply, _) => arithmetic(kind, both, target, i64::wrapping_mul, |a, b| a * b)?,
            (Self::And, Kind::Bool) | (Self::Minimum, _) => each!(|a, b| a.lesser(b)),
            (Self::Or, Kind::Bool) | (Self::Maximum, _) => each!(|a, b| a.greater(b)),
            (Self::Less, _) => each!(|a, b| Truth::from(a < b)),
            (Self::LessEqual, _) => each!(|a, b| Truth::from(a <= b)),
            (Self::Equal, _) => each!(|a, b| Truth::from(a == b)),
            (Self::NotEqual, _) => each!(|a, b| Truth::from(a != b)),
            (Self::Greater, _) => each!(|a, b| Truth::from(a > b)),
            (Self::GreaterEqual, _) => each!(|a, b| Truth::from(a >= b)),
            (Self::Divide, Kind::F32) => combine(both, target, |a: f32, b: f32| a / b),
            (Self::Divide, _) => combine(both, target, |a: f64, b: f64| a / b),
            (Self::Power, Kind::F32) => {
                combine(both, target, |a: f32, b: f32| if b == 2.0 { a * a } else { a.powf(b) });
            }
            (Self::Power, Kind::F64) => {
                combine(both, target, |a: f64, b: f64| if b == 2.0 { a * a } else { a.powf(b) });
            }
            (_, Kind::Bool) | (Self::And | Self::Or | Self::Power, _) => {
                return Err(refused(self.symbol(), kind));
            }
            (Self::Subtract, _) => arithmetic(kind, both, target, i64::wrapping_sub, |a, b| a - b)?,
        }
        Ok(made)
    }
}

/// Combines the numbers of two views with `whole` for integers or `float` for floats, and writes
/// the results to `target`.
fn arithmetic(
    kind: Kind,
    both: [&View; 2],
    target: &mut [u8],
    whole: impl Fn(i64, i64) -> i64,
    float: impl Fn(f64, f64) -> f64,
) -> Result<(), ViewError> {
    typed!(kind, T => combine(both, target, |a: T, b: T| {
        if T::IS_WHOLE {
            T::of_long(whole(a.long(), b.long()))
        } else {
            T::of_double(float(a.double(), b.double()))
        }
    }))
}

impl Unary {
    /// Applies the operator and returns a new view.
    ///
    /// # Errors
    /// `TypeError` for dtypes without this operator.
    pub fn apply(self, view: &View, supply: &Supply) -> Result<View, ViewError> {
        match (self, view.kind) {
            (Self::Invert, Kind::Bool) => {
                map(view, Kind::Bool, supply, |truth: Truth| Truth::from(!truth.holds()))
            }
            (Self::Absolute, _) => mapped(view, supply, i64::abs, f64::abs),
            (Self::Invert, kind) | (Self::Negative, kind @ Kind::Bool) => {
                Err(refused(self.symbol(), kind.computed()?))
            }
            (Self::Negative, _) => mapped(view, supply, |a| -a, |a| -a),
        }
    }
}

/// A new view with `whole` applied to each integer or `float` applied to each float.
fn mapped(
    view: &View,
    supply: &Supply,
    whole: impl Fn(i64) -> i64,
    float: impl Fn(f64) -> f64,
) -> Result<View, ViewError> {
    typed!(view.kind, T => map(view, view.kind, supply, |number: T| {
        if T::IS_WHOLE {
            T::of_long(whole(number.long()))
        } else {
            T::of_double(float(number.double()))
        }
    }))?
}

/// The error for a dtype without this operator. It moves the node to CPython: numpy has the
/// operator for more dtypes.
fn refused(symbol: &str, kind: Kind) -> ViewError {
    ViewError::Unsupported(format!(
        "an 'AudioView' of dtype {} has no operator {symbol}",
        kind.name()
    ))
}

impl Operand {
    /// The operand as a view of this dtype; a Python number becomes a view without axes.
    fn in_kind(&self, kind: Kind) -> Result<View, ViewError> {
        let number = match self {
            Self::View(view) if view.kind == kind => return Ok(view.clone()),
            Self::View(view) => return view.cast(kind, &Supply::default()),
            Self::Number(number) => *number,
        };
        let single = Supply::default().view(&[], kind)?;
        single.set_number(&[], number)?;
        Ok(single)
    }
}

impl View {
    /// A copy converted to another dtype; integers wrap around as in numpy.
    ///
    /// # Errors
    /// `TypeError` for dtypes that views do not compute with, `MemoryError` for a too large result.
    pub fn cast(&self, kind: Kind, supply: &Supply) -> Result<Self, ViewError> {
        if kind == self.kind {
            return self.copy(supply);
        }
        let (own, other) = (self.kind.computed()?, kind.computed()?);
        typed!(own, A => typed!(other, B => {
            map(self, kind, supply, |number: A| number.cast::<B>())
        }))??
    }

    /// A copy with each number limited to the range from `low` to `high`.
    ///
    /// # Errors
    /// As [`Operator::apply`].
    pub fn clip(
        &self,
        low: Option<&Operand>,
        high: Option<&Operand>,
        supply: &Supply,
    ) -> Result<Self, ViewError> {
        let range = self.kind.computed()?.range();
        let mut made = None;
        for (bound, operator) in [(low, Operator::Maximum), (high, Operator::Minimum)] {
            let Some(bound) = bound else { continue };
            if let (Operand::Number(Number::Int(whole)), Some((lowest, highest))) = (bound, range) {
                // As in numpy, an integer bound at or beyond the range of the dtype has no effect.
                let is_low = operator == Operator::Maximum;
                if (is_low && *whole <= lowest) || (!is_low && *whole >= highest) {
                    continue;
                }
            }
            let own = made.as_ref().unwrap_or(self).into();
            made = Some(operator.apply(&own, bound, supply)?);
        }
        made.map_or_else(|| self.copy(supply), Ok)
    }

    /// Whether any element equals `value`; a view as `value` is compared element by element.
    ///
    /// # Errors
    /// As [`Operator::apply`].
    pub fn contains(&self, value: &Operand) -> Result<bool, ViewError> {
        let equal = Operator::Equal.apply(&self.into(), value, &Supply::default())?;
        Ok(equal.bytes().contains(&1))
    }

    /// This view as an operator's result: a scalar if it has no axes, at either operand's rate.
    pub(super) fn after(self, left: &Self, right: &Self) -> Self {
        let is_scalar = self.shape.is_empty();
        Self { is_scalar, ..self }.at_rate(left.sample_rate_hz.or(right.sample_rate_hz))
    }
}
