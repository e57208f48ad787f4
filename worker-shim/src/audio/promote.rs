//! Which kind the result of an operator has: the rules of numpy 2.

use super::{Kind, Number, ViewError};

/// Sorts of numbers, each of which can be written as the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Bool,
    Unsigned,
    Signed,
    Float,
    Complex,
}

impl Kind {
    pub(super) fn family(self) -> Family {
        match self {
            Self::Bool => Family::Bool,
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => Family::Unsigned,
            Self::I8 | Self::I16 | Self::I32 | Self::I64 => Family::Signed,
            Self::F16 | Self::F32 | Self::F64 => Family::Float,
            Self::C64 | Self::C128 => Family::Complex,
        }
    }

    pub(super) fn is_signed(self) -> bool {
        self.family() == Family::Signed
    }

    pub(super) fn is_whole(self) -> bool {
        self.family() < Family::Float
    }

    /// The smallest kind that has the numbers of both.
    pub(super) fn common(self, other: Self) -> Self {
        let (low, high) =
            if self.family() <= other.family() { (self, other) } else { (other, self) };
        let wider = |a: Self, b: Self| if a.bytes() > b.bytes() { a } else { b };
        match (low.family(), high.family()) {
            (Family::Bool, _) => high,
            (one, same) if one == same => wider(low, high),
            (Family::Unsigned, Family::Signed) if high.bytes() > low.bytes() => high,
            (Family::Unsigned, Family::Signed) => match low {
                Self::U8 => Self::I16,
                Self::U16 => Self::I32,
                Self::U32 => Self::I64,
                _ => Self::F64,
            },
            (_, Family::Complex) if low.real_kind().bytes() * 2 > high.bytes() => Self::C128,
            (_, Family::Complex) => high,
            (_, _) => wider(low.real_kind(), high),
        }
    }

    /// The real numbers that a kind without imaginary parts is written as.
    fn real_kind(self) -> Self {
        match self {
            Self::Bool | Self::I8 | Self::U8 | Self::F16 => Self::F16,
            Self::I16 | Self::U16 | Self::F32 => Self::F32,
            _ => Self::F64,
        }
    }

    /// The kind of both where the other is a number of Python, which has no width of its own.
    pub(super) fn common_with_number(self, number: Number) -> Self {
        match (number, self.family()) {
            (Number::Int(_), Family::Bool) => Self::I64,
            (Number::Bool(_) | Number::Int(_), _)
            | (Number::Float(_), Family::Float | Family::Complex)
            | (Number::Complex(..), Family::Complex) => self,
            (Number::Float(_), _) => Self::F64,
            (Number::Complex(..), Family::Float) if self != Self::F64 => Self::C64,
            (Number::Complex(..), _) => Self::C128,
        }
    }

    /// Whether a result of this kind may be written to a view of the other in place.
    pub(super) fn may_become(self, target: Self) -> bool {
        self.family() <= target.family()
    }

    /// The kind of a sum of such numbers.
    pub(super) fn of_sums(self) -> Self {
        match self.family() {
            Family::Bool | Family::Signed => Self::I64,
            Family::Unsigned => Self::U64,
            Family::Float | Family::Complex => self,
        }
    }

    /// The kind of a mean of such numbers.
    pub(super) fn of_means(self) -> Self {
        if self.is_whole() { Self::F64 } else { self }
    }

    /// The widest kind of the same sort, so that few loops do for all kinds.
    pub(super) fn widest(self) -> Self {
        match self.family() {
            Family::Bool | Family::Signed => Self::I64,
            Family::Unsigned => Self::U64,
            Family::Float => Self::F64,
            Family::Complex => Self::C128,
        }
    }

    /// The kind of the parts of such numbers.
    pub(super) fn of_parts(self) -> Self {
        match self {
            Self::C64 => Self::F32,
            Self::C128 => Self::F64,
            real => real,
        }
    }

    /// Whether the integer is one of this kind of whole numbers.
    pub(super) fn has(self, number: i128) -> bool {
        self.nearest(Number::Int(number)) == Number::Int(number)
    }
}

/// A number of Python as one of a kind that it can be written as.
///
/// # Errors
/// `OverflowError` for an integer out of range.
pub(super) fn checked(number: Number, kind: Kind) -> Result<Number, ViewError> {
    match number {
        Number::Int(whole) if kind.is_whole() && !kind.has(whole) => Err(ViewError::Overflow(
            format!("Python integer {whole} out of bounds for {}", kind.name()),
        )),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_of_both_signs_get_room_for_both() {
        assert_eq!(Kind::U8.common(Kind::I8), Kind::I16);
        assert_eq!(Kind::I32.common(Kind::U16), Kind::I32);
        assert_eq!(Kind::U64.common(Kind::I8), Kind::F64);
    }

    #[test]
    fn floats_keep_the_numbers_of_both() {
        assert_eq!(Kind::I16.common(Kind::F16), Kind::F32);
        assert_eq!(Kind::I32.common(Kind::F32), Kind::F64);
        assert_eq!(Kind::F64.common(Kind::C64), Kind::C128);
        assert_eq!(Kind::U8.common(Kind::C64), Kind::C64);
    }

    #[test]
    fn numbers_of_python_have_no_width() {
        assert_eq!(Kind::F32.common_with_number(Number::Float(0.1)), Kind::F32);
        assert_eq!(Kind::I16.common_with_number(Number::Float(0.5)), Kind::F64);
        assert_eq!(Kind::Bool.common_with_number(Number::Int(1)), Kind::I64);
        assert!(checked(Number::Int(300), Kind::U8).is_err());
    }
}
