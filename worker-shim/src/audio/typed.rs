//! The numbers of each dtype as types, so that loops over them are compiled for each.
//!
//! Integers are computed as `i64` and floats as `f64`, then written in the width of the dtype. That
//! loses nothing: integers wrap around at any width alike, and a double has enough digits that
//! rounding a sum, difference, product or quotient of singles twice gives what rounding once gives.

use std::cmp::Ordering;

use bytemuck::{Pod, Zeroable};

/// A number of a dtype.
pub(super) trait Element: Pod + PartialOrd {
    /// Whether it is an integer or a truth.
    const IS_WHOLE: bool;
    const LOWEST: Self;
    const HIGHEST: Self;

    fn double(self) -> f64;
    fn long(self) -> i64;

    /// The number that a double becomes: fractions are cut off, and what is beyond an integer's
    /// range, where numpy promises nothing, becomes the nearest integer.
    fn of_double(number: f64) -> Self;

    /// The number that an integer becomes; integers wrap around.
    fn of_long(number: i64) -> Self;

    /// The number in another dtype.
    fn cast<T: Element>(self) -> T {
        if Self::IS_WHOLE { T::of_long(self.long()) } else { T::of_double(self.double()) }
    }

    /// The smaller one; NaN wins, as in numpy.
    fn lesser(self, other: Self) -> Self {
        if self < other || self.is_nan() { self } else { other }
    }

    /// The larger one; NaN wins, as in numpy.
    fn greater(self, other: Self) -> Self {
        if self > other || self.is_nan() { self } else { other }
    }

    fn is_nan(self) -> bool {
        self.partial_cmp(&self).is_none()
    }
}

/// One byte that is true or not.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Truth(u8);

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        Self(truth.into())
    }
}

impl Truth {
    pub(super) fn holds(self) -> bool {
        self.0 != 0
    }
}

impl PartialEq for Truth {
    fn eq(&self, other: &Self) -> bool {
        self.holds() == other.holds()
    }
}

impl PartialOrd for Truth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.holds().partial_cmp(&other.holds())
    }
}

impl Element for Truth {
    const IS_WHOLE: bool = true;
    const LOWEST: Self = Self(0);
    const HIGHEST: Self = Self(1);

    fn double(self) -> f64 {
        self.holds().into()
    }
    fn long(self) -> i64 {
        self.holds().into()
    }
    fn of_double(number: f64) -> Self {
        (number != 0.0).into()
    }
    fn of_long(number: i64) -> Self {
        (number != 0).into()
    }
}

macro_rules! elements {
    ($($(#[$lint:meta])? $type:ident $is_whole:literal $lowest:expr, $highest:expr;)+) => {$(
        $(#[$lint])?
        #[expect(clippy::cast_possible_truncation, reason = "wraps around or rounds, as promised")]
        impl Element for $type {
            const IS_WHOLE: bool = $is_whole;
            const LOWEST: Self = $lowest;
            const HIGHEST: Self = $highest;

            fn double(self) -> f64 {
                self.into()
            }
            fn long(self) -> i64 {
                self as i64
            }
            fn of_double(number: f64) -> Self {
                number as Self
            }
            fn of_long(number: i64) -> Self {
                number as Self
            }
        }
    )+};
}

elements! {
    #[expect(clippy::cast_sign_loss, reason = "the same")]
    u8 true Self::MIN, Self::MAX;
    i16 true Self::MIN, Self::MAX;
    i32 true Self::MIN, Self::MAX;
    f32 false Self::NEG_INFINITY, Self::INFINITY;
    f64 false Self::NEG_INFINITY, Self::INFINITY;
}

/// Runs the code with the type `$T` of a [`super::Kind`]; an error for those that are only passed on.
macro_rules! typed {
    ($kind:expr, $T:ident => $body:expr) => {
        typed!(@ $kind, $T => $body,
            (Bool crate::audio::typed::Truth) (U8 u8) (I16 i16) (I32 i32) (F32 f32) (F64 f64))
    };
    (@ $kind:expr, $T:ident => $body:expr, $(($variant:ident $type:ty))+) => {
        match $kind {
            $(crate::audio::Kind::$variant => {
                type $T = $type;
                Ok($body)
            })+
            other => Err(other.not_computed()),
        }
    };
}

pub(super) use typed;
