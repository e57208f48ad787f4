//! The dtypes that views compute with, and which one a result has: numpy 2's rules.

use super::{Kind, Number, ViewError};

/// A dtype that views compute with. Each can be written as a later one, but for [`Numeric::I32`],
/// which [`Numeric::F32`] rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Numeric {
    /// One byte, zero or not.
    Bool,
    /// One byte without a sign.
    U8,
    /// Two bytes with a sign.
    I16,
    /// Four bytes with a sign.
    I32,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

/// Sorts of numbers, in the order in which an operator in place may write one to another.
#[derive(PartialEq, PartialOrd)]
enum Family {
    Bool,
    Unsigned,
    Signed,
    Float,
}

impl Numeric {
    /// The same as one of all dtypes.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::U8 => Kind::U8,
            Self::I16 => Kind::I16,
            Self::I32 => Kind::I32,
            Self::F32 => Kind::F32,
            Self::F64 => Kind::F64,
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.kind().name()
    }

    pub(super) fn is_whole(self) -> bool {
        self < Self::F32
    }

    /// The smallest dtype that has the numbers of both.
    pub(super) fn common(self, other: Self) -> Self {
        match (self.min(other), self.max(other)) {
            (Self::I32, Self::F32) => Self::F64,
            (_, larger) => larger,
        }
    }

    /// The dtype of both where the other operand is a number of Python, which has no width.
    ///
    /// # Errors
    /// `TypeError` where numpy's result is of a dtype that views do not compute with.
    pub(super) fn common_with_number(self, number: Number) -> Result<Self, ViewError> {
        match number {
            Number::Int(_) if self == Self::Bool => Err(not_computed(Kind::I64)),
            Number::Float(_) if self.is_whole() => Ok(Self::F64),
            Number::Bool(_) | Number::Int(_) | Number::Float(_) => Ok(self),
            Number::Complex(..) => Err(not_computed(Kind::C128)),
        }
    }

    fn family(self) -> Family {
        match self {
            Self::Bool => Family::Bool,
            Self::U8 => Family::Unsigned,
            Self::I16 | Self::I32 => Family::Signed,
            Self::F32 | Self::F64 => Family::Float,
        }
    }

    /// Whether an operator in place may write a result of this dtype to a view of the other.
    pub(super) fn may_become(self, target: Self) -> bool {
        self.family() <= target.family()
    }

    /// The dtype of a sum.
    pub(super) fn of_sums(self) -> Kind {
        match self {
            Self::Bool | Self::I16 | Self::I32 => Kind::I64,
            Self::U8 => Kind::U64,
            Self::F32 | Self::F64 => self.kind(),
        }
    }

    /// The dtype of a mean.
    pub(super) fn of_means(self) -> Self {
        if self.is_whole() { Self::F64 } else { self }
    }

    /// The smallest and the largest integer; `None` for floats.
    pub(super) fn range(self) -> Option<(i128, i128)> {
        match self {
            Self::Bool => Some((0, 1)),
            Self::U8 => Some((0, u8::MAX.into())),
            Self::I16 => Some((i16::MIN.into(), i16::MAX.into())),
            Self::I32 => Some((i32::MIN.into(), i32::MAX.into())),
            Self::F32 | Self::F64 => None,
        }
    }

    /// Whether an integer of Python can be an operand beside this dtype.
    pub(super) fn has(self, number: i128) -> bool {
        self.range().is_none_or(|(low, high)| (low..=high).contains(&number))
    }
}

impl Kind {
    /// The dtype for computing.
    ///
    /// # Errors
    /// `TypeError` for those that are only passed on.
    pub fn numeric(self) -> Result<Numeric, ViewError> {
        Ok(match self {
            Self::Bool => Numeric::Bool,
            Self::U8 => Numeric::U8,
            Self::I16 => Numeric::I16,
            Self::I32 => Numeric::I32,
            Self::F32 => Numeric::F32,
            Self::F64 => Numeric::F64,
            other => return Err(not_computed(other)),
        })
    }
}

/// That a dtype is only passed on. Naming the class moves the node to CPython.
fn not_computed(kind: Kind) -> ViewError {
    ViewError::Type(format!(
        "an 'AudioView' computes with bool, uint8, int16, int32, float32 and float64, not with {}",
        kind.name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_dtype_has_the_numbers_of_both() {
        assert_eq!(Numeric::U8.common(Numeric::I16), Numeric::I16);
        assert_eq!(Numeric::F32.common(Numeric::I16), Numeric::F32);
        assert_eq!(Numeric::I32.common(Numeric::F32), Numeric::F64);
        assert_eq!(Numeric::Bool.common(Numeric::U8), Numeric::U8);
    }

    #[test]
    fn numbers_of_python_have_no_width() {
        let with = |kind: Numeric, number| kind.common_with_number(number).ok();
        assert_eq!(with(Numeric::F32, Number::Float(0.1)), Some(Numeric::F32));
        assert_eq!(with(Numeric::I16, Number::Float(0.5)), Some(Numeric::F64));
        assert_eq!(with(Numeric::Bool, Number::Int(1)), None);
        assert!(!Numeric::U8.has(300));
    }

    #[test]
    fn dtypes_that_are_only_passed_on_say_so() {
        let error = Kind::I64.numeric().unwrap_err();
        assert!(error.to_string().contains("'AudioView'") && error.to_string().ends_with("int64"));
    }
}
