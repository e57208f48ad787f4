//! Operators on the bits of whole numbers.

use super::rows::{combine, map};
use super::typed::typed;
use super::{Kind, Operator, View};

impl Operator {
    /// Writes what the operator makes of whole numbers of one kind.
    pub(super) fn compute_bits(self, kind: Kind, one: &View, two: &View, target: &mut [u8]) {
        // Only a shift to the right looks at the sign.
        let pattern = kind.pattern();
        macro_rules! each {
            ($work:expr) => {
                typed!(unsigned pattern, T => combine::<T, T, T>(one, two, target, $work), else ())
            };
        }
        match self {
            Self::And => each!(|a, b| a & b),
            Self::Or => each!(|a, b| a | b),
            Self::Xor => each!(|a, b| a ^ b),
            Self::LeftShift => typed!(unsigned pattern, T => {
                combine(one, two, target, |number: T, count: T| {
                    bits_of(count).and_then(|count| number.checked_shl(count)).unwrap_or(0)
                });
            }, else ()),
            // Shifted by all its bits a number leaves its sign.
            _ if kind.is_signed() => typed!(signed kind, T => {
                combine(one, two, target, |number: T, count: T| {
                    let shifted = bits_of(count).and_then(|count| number.checked_shr(count));
                    shifted.unwrap_or(number >> (T::BITS - 1))
                });
            }, else ()),
            _ => typed!(unsigned kind, T => {
                combine(one, two, target, |number: T, count: T| {
                    bits_of(count).and_then(|count| number.checked_shr(count)).unwrap_or(0)
                });
            }, else ()),
        }
    }
}

/// Writes each whole number with all its bits turned.
pub(super) fn invert(kind: Kind, view: &View, target: &mut [u8]) {
    typed!(unsigned kind.pattern(), T => map(view, target, |number: T| !number), else ());
}

/// A count of bits, if it is not negative and not absurd.
fn bits_of(count: impl TryInto<u32>) -> Option<u32> {
    count.try_into().ok()
}

impl Kind {
    /// The kind of whole numbers of the same size without signs.
    fn pattern(self) -> Self {
        match self {
            Self::I8 => Self::U8,
            Self::I16 => Self::U16,
            Self::I32 => Self::U32,
            Self::I64 => Self::U64,
            other => other,
        }
    }
}
