//! The elements of each dtype as a Rust type, so that loops are compiled for each dtype.
//!
//! Integers are computed as `i64` and floats as `f64`, then narrowed to the dtype. The result is
//! the same as in the dtype itself: integers wrap around alike at every width, and a double has
//! enough digits that rounding the sum, difference, product or quotient of two singles twice (to
//! double, then to single) equals rounding once.

use bytemuck::{Pod, Zeroable};

/// An element of a dtype that views compute with.
pub(super) trait Element: Pod + PartialOrd {
    /// Whether the type is an integer or bool.
    const IS_WHOLE: bool;
    const LOWEST: Self;
    const HIGHEST: Self;

    fn double(self) -> f64;
    fn long(self) -> i64;

    /// Converts a double. An integer type cuts off the fraction; a number beyond the type's range,
    /// for which numpy defines no result, becomes the nearest integer of the range.
    fn of_double(number: f64) -> Self;

    /// Converts an integer, which wraps around.
    fn of_long(number: i64) -> Self;

    /// Converts to the element type of another dtype.
    fn cast<T: Element>(self) -> T {
        if Self::IS_WHOLE { T::of_long(self.long()) } else { T::of_double(self.double()) }
    }

    /// Applies `whole` to an integer or `float` to a float.
    fn mapped(self, whole: impl Fn(i64) -> i64, float: impl Fn(f64) -> f64) -> Self {
        if Self::IS_WHOLE {
            Self::of_long(whole(self.long()))
        } else {
            Self::of_double(float(self.double()))
        }
    }

    /// Combines two integers with `whole` or two floats with `float`.
    fn join(
        self,
        other: Self,
        whole: impl Fn(i64, i64) -> i64,
        float: impl Fn(f64, f64) -> f64,
    ) -> Self {
        self.mapped(|own| whole(own, other.long()), |own| float(own, other.double()))
    }

    /// The smaller of two numbers; NaN if one is NaN, as in numpy.
    fn lesser(self, other: Self) -> Self {
        if self < other || self.is_nan() { self } else { other }
    }

    /// The larger of two numbers; NaN if one is NaN, as in numpy.
    fn greater(self, other: Self) -> Self {
        if self > other || self.is_nan() { self } else { other }
    }

    fn is_nan(self) -> bool {
        self.partial_cmp(&self).is_none()
    }
}

/// The element of dtype bool: one byte, true unless it is zero.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Truth(pub(super) u8);

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        Self(truth.into())
    }
}

impl Element for Truth {
    const IS_WHOLE: bool = true;
    const LOWEST: Self = Self(0);
    const HIGHEST: Self = Self(1);

    fn double(self) -> f64 {
        (self.0 != 0).into()
    }
    fn long(self) -> i64 {
        (self.0 != 0).into()
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
        #[expect(clippy::cast_possible_truncation, reason = "wraps or rounds, see `Element`")]
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
    #[expect(clippy::cast_sign_loss, reason = "wraps or rounds, see `Element`")]
    u8 true Self::MIN, Self::MAX;
    i16 true Self::MIN, Self::MAX;
    i32 true Self::MIN, Self::MAX;
    f32 false Self::NEG_INFINITY, Self::INFINITY;
    f64 false Self::NEG_INFINITY, Self::INFINITY;
}

/// Runs the code with `$T` as the element type of a [`super::Kind`]; returns an error from the function
/// around it for kinds that views do not compute with.
macro_rules! typed {
    ($kind:expr, $T:ident => $body:expr) => {
        typed!(@ $kind, $T => $body,
            (Bool crate::audio::typed::Truth) (U8 u8) (I16 i16) (I32 i32) (F32 f32) (F64 f64))
    };
    (@ $kind:expr, $T:ident => $body:expr, $(($variant:ident $type:ty))+) => {
        match $kind {
            $(crate::audio::Kind::$variant => {
                type $T = $type;
                $body
            })+
            other => return Err(other.not_computed()),
        }
    };
}

pub(super) use typed;
