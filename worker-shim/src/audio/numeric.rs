//! The dtypes that views compute with, and the dtype of a result by the rules of numpy 2.

use super::{Kind, Number, ViewError};

impl Kind {
    /// Checks that views compute with this dtype, and returns the dtype.
    ///
    /// # Errors
    /// `TypeError` for dtypes that views can only hold and pass on.
    pub(super) fn computed(self) -> Result<Self, ViewError> {
        if self <= Self::F64 { Ok(self) } else { Err(self.not_computed()) }
    }

    /// The error for a dtype that views do not compute with. It moves the node to CPython.
    pub(super) fn not_computed(self) -> ViewError {
        ViewError::Unsupported(format!(
            "an 'AudioView' computes with bool, uint8, int16, int32, float32 and float64, not with \
             {}",
            self.name()
        ))
    }

    /// Whether this is bool or an integer dtype. Valid only for dtypes that views compute with.
    pub(super) fn is_whole(self) -> bool {
        self < Self::F32
    }

    /// The smallest dtype that can represent the numbers of both.
    ///
    /// # Errors
    /// As [`Kind::computed`].
    pub(super) fn common(self, other: Self) -> Result<Self, ViewError> {
        let (one, other) = (self.computed()?, other.computed()?);
        Ok(match (one.min(other), one.max(other)) {
            // float32 would round large int32 numbers.
            (Self::I32, Self::F32) => Self::F64,
            (_, later) => later,
        })
    }

    /// The common dtype of a view and a Python number, which has no dtype of its own.
    ///
    /// # Errors
    /// `TypeError` if numpy's result has a dtype that views do not compute with.
    pub(super) fn common_with_number(self, number: Number) -> Result<Self, ViewError> {
        match number {
            Number::Int(_) if self == Self::Bool => Err(Self::I64.not_computed()),
            Number::Float(_) if self.computed()?.is_whole() => Ok(Self::F64),
            Number::Bool(_) | Number::Int(_) | Number::Float(_) => self.computed(),
            Number::Complex(..) => Err(Self::C128.not_computed()),
        }
    }

    /// Whether an in-place operator may store a result of this dtype in a view of dtype `target`:
    /// not floats in integers, not signed integers in unsigned, not numbers in bools.
    pub(super) fn may_become(self, target: Self) -> bool {
        let family = |kind| match kind {
            Self::Bool => 0,
            Self::U8 => 1,
            Self::I16 | Self::I32 => 2,
            _ => 3,
        };
        family(self) <= family(target)
    }

    /// The smallest and the largest integer of the dtype; `None` for floats.
    pub(super) fn range(self) -> Option<(i128, i128)> {
        match self {
            Self::Bool => Some((0, 1)),
            Self::U8 => Some((0, u8::MAX.into())),
            Self::I16 => Some((i16::MIN.into(), i16::MAX.into())),
            Self::I32 => Some((i32::MIN.into(), i32::MAX.into())),
            _ => None,
        }
    }

    /// Whether a Python integer can be an operand together with this dtype.
    pub(super) fn has(self, number: i128) -> bool {
        self.range().is_none_or(|(low, high)| (low..=high).contains(&number))
    }
}
