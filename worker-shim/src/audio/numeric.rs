//! Which dtypes views compute with, and which one a result has: numpy 2's rules.

use super::{Kind, Number, ViewError};

impl Kind {
    /// The dtype itself, if views compute with it.
    ///
    /// # Errors
    /// `TypeError` for those that are only passed on.
    pub(super) fn computed(self) -> Result<Self, ViewError> {
        if self <= Self::F64 { Ok(self) } else { Err(self.not_computed()) }
    }

    /// That a dtype is only passed on. Naming the class moves the node to CPython.
    pub(super) fn not_computed(self) -> ViewError {
        ViewError::Unsupported(format!(
            "an 'AudioView' computes with bool, uint8, int16, int32, float32 and float64, not with \
             {}",
            self.name()
        ))
    }

    /// Whether its numbers are integers or truths, of a dtype for computing.
    pub(super) fn is_whole(self) -> bool {
        self < Self::F32
    }

    /// The smallest dtype that has the numbers of both.
    ///
    /// # Errors
    /// As [`Kind::computed`].
    pub(super) fn common(self, other: Self) -> Result<Self, ViewError> {
        let (one, other) = (self.computed()?, other.computed()?);
        Ok(match (one.min(other), one.max(other)) {
            // A single would round them.
            (Self::I32, Self::F32) => Self::F64,
            (_, later) => later,
        })
    }

    /// The dtype of both where the other operand is a number of Python, which has no width.
    ///
    /// # Errors
    /// `TypeError` where numpy's result is of a dtype that views do not compute with.
    pub(super) fn common_with_number(self, number: Number) -> Result<Self, ViewError> {
        match number {
            Number::Int(_) if self == Self::Bool => Err(Self::I64.not_computed()),
            Number::Float(_) if self.computed()?.is_whole() => Ok(Self::F64),
            Number::Bool(_) | Number::Int(_) | Number::Float(_) => self.computed(),
            Number::Complex(..) => Err(Self::C128.not_computed()),
        }
    }

    /// Whether an operator in place may write a result of this dtype to a view of the other: not
    /// floats to integers, and not signed ones to others.
    pub(super) fn may_become(self, target: Self) -> bool {
        let family = |kind| match kind {
            Self::Bool => 0,
            Self::U8 => 1,
            Self::I16 | Self::I32 => 2,
            _ => 3,
        };
        family(self) <= family(target)
    }

    /// The smallest and the largest integer; `None` for floats.
    pub(super) fn range(self) -> Option<(i128, i128)> {
        match self {
            Self::Bool => Some((0, 1)),
            Self::U8 => Some((0, u8::MAX.into())),
            Self::I16 => Some((i16::MIN.into(), i16::MAX.into())),
            Self::I32 => Some((i32::MIN.into(), i32::MAX.into())),
            _ => None,
        }
    }

    /// Whether an integer of Python can be an operand beside this dtype.
    pub(super) fn has(self, number: i128) -> bool {
        self.range().is_none_or(|(low, high)| (low..=high).contains(&number))
    }
}
