//! Arithmetic on single numbers, with Python's rules: ints are exact up to a million bits, `divide` is
//! true division, `modulo` takes the sign of the divisor. NaN and infinity are numbers like others.

use ipc_protocol::Value;
use num_bigint::{BigInt, BigUint, Sign};
use num_traits::{Signed, ToPrimitive, Zero};

use crate::error::{NodeError, NodeErrorKind};
use crate::params::Number;

/// The largest integer that is computed with, and that `power` makes, in bits (about 300,000 decimal
/// digits): a division of larger ones takes seconds.
pub(crate) const MAX_BITS: u64 = 1_000_000;

/// The operations that `CalculatorNode` knows, by the names in its input.
pub(crate) const OPERATIONS: &[&str] =
    &["add", "subtract", "multiply", "divide", "power", "modulo"];

/// One operation on two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Modulo,
}

impl Operation {
    pub(crate) fn from_name(name: &str) -> Result<Self, NodeError> {
        match name.to_ascii_lowercase().as_str() {
            "add" => Ok(Self::Add),
            "subtract" => Ok(Self::Subtract),
            "multiply" => Ok(Self::Multiply),
            "divide" => Ok(Self::Divide),
            "power" => Ok(Self::Power),
            "modulo" => Ok(Self::Modulo),
            _ => Err(NodeErrorKind::UnknownOperation {
                operation: name.to_owned(),
                known: "add, subtract, multiply, divide, power, modulo",
            }
            .into()),
        }
    }

    /// The result of `a operation b`.
    ///
    /// # Errors
    /// Division or modulo by zero, a result that is too large, or one that would be complex.
    pub(crate) fn apply(self, a: &Number, b: &Number) -> Result<Number, NodeError> {
        for number in [a, b] {
            if let Number::Int(int) = number
                && int.bits() > MAX_BITS
            {
                let (bits, limit_bits) = (int.bits(), MAX_BITS);
                return Err(NodeErrorKind::IntegerTooLarge { bits, limit_bits }.into());
            }
        }
        match (a, b) {
            (Number::Int(a), Number::Int(b)) => self.apply_ints(a, b),
            _ => self.apply_floats(to_float(a)?, to_float(b)?).map(Number::Float),
        }
    }

    fn apply_ints(self, a: &BigInt, b: &BigInt) -> Result<Number, NodeError> {
        Ok(Number::Int(match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide | Self::Modulo if b.is_zero() => {
                return Err(NodeErrorKind::DivisionByZero.into());
            }
            Self::Divide => return true_quotient(a, b).map(Number::Float),
            Self::Modulo => {
                let rest = a % b;
                if !rest.is_zero() && rest.sign() != b.sign() { rest + b } else { rest }
            }
            Self::Power if b.is_negative() => {
                return float_power(int_to_float(a)?, int_to_float(b)?).map(Number::Float);
            }
            Self::Power => int_power(a, b)?,
        }))
    }

    fn apply_floats(self, a: f64, b: f64) -> Result<f64, NodeError> {
        Ok(match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide | Self::Modulo if b == 0.0 => {
                return Err(NodeErrorKind::DivisionByZero.into());
            }
            Self::Divide => a / b,
            Self::Modulo => {
                let rest = a % b;
                if rest == 0.0 {
                    0.0_f64.copysign(b)
                } else if (rest < 0.0) == (b < 0.0) {
                    rest
                } else {
                    rest + b
                }
            }
            Self::Power => return float_power(a, b),
        })
    }
}

fn int_power(base: &BigInt, exponent: &BigInt) -> Result<BigInt, NodeError> {
    if base.magnitude() <= &BigUint::from(1_u32) {
        let is_odd = exponent.bit(0);
        return Ok(match base.sign() {
            _ if exponent.is_zero() => BigInt::from(1),
            Sign::Minus if !is_odd => BigInt::from(1),
            _ => base.clone(),
        });
    }
    let exponent = exponent.to_u64().unwrap_or(u64::MAX);
    let bits = base.bits().saturating_mul(exponent);
    match u32::try_from(exponent) {
        Ok(exponent) if bits <= MAX_BITS => Ok(base.pow(exponent)),
        _ => Err(NodeErrorKind::ResultTooLarge { bits, limit_bits: MAX_BITS }.into()),
    }
}

fn float_power(a: f64, b: f64) -> Result<f64, NodeError> {
    if a == 0.0 && b < 0.0 {
        return Err(NodeErrorKind::ZeroToNegativePower.into());
    }
    if a < 0.0 && a.is_finite() && b.is_finite() && b.fract() != 0.0 {
        return Err(NodeErrorKind::ComplexResult.into());
    }
    let result = a.powf(b);
    if result.is_infinite() && a.is_finite() && b.is_finite() {
        return Err(NodeErrorKind::FloatOverflow { operation: "power" }.into());
    }
    Ok(result)
}

/// `a / b` to the nearest float, also for ints that no float can hold.
fn true_quotient(a: &BigInt, b: &BigInt) -> Result<f64, NodeError> {
    // 66 bits or more of quotient, the last of them set for a rest, round as the exact quotient.
    let shift = (66 + b.bits()).saturating_sub(a.bits());
    let scaled = a.magnitude() << shift;
    let mut quotient = &scaled / b.magnitude();
    let is_exact = &quotient * b.magnitude() == scaled;
    if !is_exact {
        quotient.set_bit(0, true);
    }
    let shift = i32::try_from(shift).unwrap_or(i32::MAX);
    // Scaled back in two steps, since 2^-shift alone may be too small for a float.
    let size = quotient.to_f64().unwrap_or(f64::INFINITY)
        * 2.0_f64.powi(-(shift / 2))
        * 2.0_f64.powi(-(shift - shift / 2));
    if size.is_infinite() {
        return Err(NodeErrorKind::FloatOverflow { operation: "divide" }.into());
    }
    Ok(if a.is_negative() == b.is_negative() { size } else { -size })
}

fn to_float(number: &Number) -> Result<f64, NodeError> {
    match number {
        Number::Int(int) => int_to_float(int),
        Number::Float(float) => Ok(*float),
    }
}

fn int_to_float(int: &BigInt) -> Result<f64, NodeError> {
    int.to_f64()
        .filter(|float| float.is_finite())
        .ok_or_else(|| NodeErrorKind::FloatOverflow { operation: "converting an int" }.into())
}

/// Converts an int or a float to a number; `None` for any other value, also for a bool.
pub(crate) fn from_value(value: &Value) -> Option<Number> {
    match value {
        Value::Int(int) => Some(Number::Int(BigInt::from(*int))),
        Value::BigInt(int) => Some(Number::Int(int.clone())),
        Value::Float(float) => Some(Number::Float(*float)),
        _ => None,
    }
}

pub(crate) fn to_value(number: Number) -> Value {
    match number {
        Number::Int(int) => match int.to_i64() {
            Some(small) => Value::Int(small),
            None => Value::BigInt(int),
        },
        Number::Float(float) => Value::Float(float),
    }
}
