//! Operators between views and numbers, with numpy's results.

use super::evaluate::evaluate;
use super::loops::{Numbers, combine, map};
use super::typed::{Element, Truth, typed};
use super::{Kind, Number, Operand, Operator, Supply, Unary, View, ViewError, write};

impl Operator {
    /// Applies the operator. Writes the results to `out`, which may be an operand (Python's operators
    /// in place), or to a new view.
    ///
    /// # Errors
    /// `ValueError` for shapes that cannot be broadcast together, `TypeError` for dtypes without
    /// this operator, `OverflowError` for a number that does not fit the dtype. `ValueError` when
    /// `out` is read-only or has another shape than the results, `TypeError` when it cannot store
    /// their dtype.
    pub fn apply(
        self,
        left: &Operand,
        right: &Operand,
        out: Option<&View>,
        supply: &Supply,
    ) -> Result<View, ViewError> {
        let (kind, [left, right]) = self.resolved(left, right)?;
        let made = if self.is_comparison() { Kind::Bool } else { kind };
        if let Some(out) = out.filter(|out| !made.may_become(out.kind())) {
            let (symbol, made, own) = (self.symbol(), made.name(), out.kind().name());
            return Err(ViewError::Type(format!(
                "{symbol}= would make numbers of dtype {made}, which a view of dtype {own} cannot \
                 store; write x = x {symbol} y instead"
            )));
        }
        evaluate([&left, &right], made, out, supply, |both, target| {
            self.compute(kind, both, target)
        })
    }

    fn is_comparison(self) -> bool {
        use Operator::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Less | LessEqual | Equal | NotEqual | Greater | GreaterEqual)
    }

    /// The dtype to compute with, and both operands converted to that dtype.
    fn resolved(self, left: &Operand, right: &Operand) -> Result<(Kind, [View; 2]), ViewError> {
        let common = match (left, right) {
            (Operand::View(left), Operand::View(right)) => left.kind().common(right.kind())?,
            (Operand::View(view), Operand::Number(number))
            | (Operand::Number(number), Operand::View(view)) => match (view.kind(), *number) {
                // Compare as doubles: they hold all numbers of the view's dtype exactly, and the
                // result is bool in any case.
                (kind, Number::Int(whole)) if self.is_comparison() && !kind.takes(whole) => {
                    Kind::F64
                }
                (kind, Number::Int(_)) if self == Self::Divide => kind.computed()?,
                (kind, number) => kind.common_with_number(number)?,
            },
            (Operand::Number(_), Operand::Number(_)) => {
                return Err(ViewError::Type("no operand of the operator is a view".to_owned()));
            }
        };
        let is_widened = self == Self::Divide && common.is_whole();
        let kind = if is_widened { Kind::F64 } else { common };
        Ok((kind, [left.in_kind(kind)?, right.in_kind(kind)?]))
    }

    /// Computes results from operands of the same dtype.
    fn compute(self, kind: Kind, both: [Numbers; 2], target: &mut [u8]) -> Result<(), ViewError> {
        macro_rules! each {
            (|$a:ident, $b:ident| $made:expr) => {
                typed!(kind, T => combine(both, target, |$a: T, $b: T| $made))
            };
        }
        macro_rules! floats {
            (|$a:ident, $b:ident| $made:expr) => {
                match kind {
                    Kind::F32 => combine(both, target, |$a: f32, $b: f32| $made),
                    _ => combine(both, target, |$a: f64, $b: f64| $made),
                }
            };
        }
        match (self, kind) {
            // For bools this makes a sum `or` and a product `and`: a result that is not zero is
            // true.
            (Self::Add, _) => each!(|a, b| a.join(b, i64::wrapping_add, |a, b| a + b)),
            (Self::Multiply, _) => each!(|a, b| a.join(b, i64::wrapping_mul, |a, b| a * b)),
            (Self::And, Kind::Bool) | (Self::Minimum, _) => each!(|a, b| a.lesser(b)),
            (Self::Or, Kind::Bool) | (Self::Maximum, _) => each!(|a, b| a.greater(b)),
            (Self::Less, _) => each!(|a, b| Truth::from(a < b)),
            (Self::LessEqual, _) => each!(|a, b| Truth::from(a <= b)),
            (Self::Equal, _) => each!(|a, b| Truth::from(a == b)),
            (Self::NotEqual, _) => each!(|a, b| Truth::from(a != b)),
            (Self::Greater, _) => each!(|a, b| Truth::from(a > b)),
            (Self::GreaterEqual, _) => each!(|a, b| Truth::from(a >= b)),
            (Self::Divide, _) => floats!(|a, b| a / b),
            (Self::Power, Kind::F32 | Kind::F64) => {
                floats!(|a, b| if b == 2.0 { a * a } else { a.powf(b) });
            }
            (_, Kind::Bool) | (Self::And | Self::Or | Self::Power, _) => {
                return Err(refused(self.symbol(), kind));
            }
            (Self::Subtract, _) => each!(|a, b| a.join(b, i64::wrapping_sub, |a, b| a - b)),
        }
        Ok(())
    }
}

impl Unary {
    /// Applies the operator and returns a new view.
    ///
    /// # Errors
    /// `TypeError` for dtypes without this operator.
    pub fn apply(self, view: &View, supply: &Supply) -> Result<View, ViewError> {
        let kind = view.kind().computed()?;
        evaluate([view, view], kind, None, supply, |[numbers, _], target| {
            match (self, kind) {
                (Self::Invert, Kind::Bool) => {
                    map(numbers, target, |truth: Truth| Truth::from(truth.0 == 0));
                }
                (Self::Invert, _) | (Self::Negative, Kind::Bool) => {
                    return Err(refused(self.symbol(), kind));
                }
                (Self::Absolute, _) => typed!(kind, T => {
                    map(numbers, target, |number: T| number.mapped(i64::abs, f64::abs));
                }),
                (Self::Negative, _) => typed!(kind, T => {
                    map(numbers, target, |number: T| number.mapped(|a| -a, |a| -a));
                }),
            }
            Ok(())
        })
    }
}

impl Operand {
    /// The operand as a view of this dtype; a Python number becomes a view without axes.
    fn in_kind(&self, kind: Kind) -> Result<View, ViewError> {
        match self {
            Self::View(view) if view.kind() == kind => Ok(view.clone()),
            Self::View(view) => write::cast(view, kind, &Supply::default()),
            Self::Number(number) => {
                let single = View::empty(&[], kind, &Supply::default())?;
                write::set_number(&single, &[], *number).map(|()| single)
            }
        }
    }
}

/// The error for a dtype without this operator. It moves the node to CPython: numpy has the
/// operator for more dtypes.
fn refused(symbol: &str, kind: Kind) -> ViewError {
    let kind = kind.name();
    ViewError::Unsupported(format!("an 'AudioView' of dtype {kind} has no operator {symbol}"))
}

/// A copy with each number limited to the range from `low` to `high`; errors as of
/// [`Operator::apply`].
pub fn clip(
    view: &View,
    low: Option<&Operand>,
    high: Option<&Operand>,
    supply: &Supply,
) -> Result<View, ViewError> {
    let range = view.kind().computed()?.range();
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
        let own = made.as_ref().unwrap_or(view).into();
        made = Some(operator.apply(&own, bound, None, supply)?);
    }
    made.map_or_else(|| view.copy(supply), Ok)
}
