//! The numbers of each dtype as types, so that loops over them are compiled for each.
//!
//! Integers are computed as `i64` and floats as `f64`, then written in the width of the dtype. That
//! loses nothing: integers wrap around at any width alike, and a double has enough digits that
//! rounding a sum, difference, product or quotient of singles twice gives what rounding once gives.

use std::cmp::Ordering;

use bytemuck::{Pod, Zeroable};

use super::element::narrow;

/// A number of a dtype.
pub(super) trait Element: Pod + PartialOrd {
    /// Whether it is an integer or a truth.
    const IS_WHOLE: bool;

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

    fn is_nan(self) -> bool {
        self.partial_cmp(&self).is_none()
    }
}

/// One byte that is true or not.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Truth(pub(super) u8);

impl PartialEq for Truth {
    fn eq(&self, other: &Self) -> bool {
        (self.0 != 0) == (other.0 != 0)
    }
}

impl PartialOrd for Truth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.0 != 0).partial_cmp(&(other.0 != 0))
    }
}

impl Element for Truth {
    const IS_WHOLE: bool = true;

    fn double(self) -> f64 {
        f64::from(u8::from(self.0 != 0))
    }
    fn long(self) -> i64 {
        i64::from(self.0 != 0)
    }
    fn of_double(number: f64) -> Self {
        Self(u8::from(number != 0.0))
    }
    fn of_long(number: i64) -> Self {
        Self(u8::from(number != 0))
    }
}

macro_rules! whole {
    ($($type:ty),+) => {$(
        #[expect(clippy::cast_possible_truncation, reason = "wraps around, or is the nearest")]
        impl Element for $type {
            const IS_WHOLE: bool = true;

            fn double(self) -> f64 {
                self.into()
            }
            fn long(self) -> i64 {
                self.into()
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

whole!(i16, i32);

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as of the others")]
impl Element for u8 {
    const IS_WHOLE: bool = true;

    fn double(self) -> f64 {
        self.into()
    }
    fn long(self) -> i64 {
        self.into()
    }
    fn of_double(number: f64) -> Self {
        number as Self
    }
    fn of_long(number: i64) -> Self {
        number as Self
    }
}

macro_rules! float {
    ($type:ty, $of_double:expr) => {
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "rounds")]
        impl Element for $type {
            const IS_WHOLE: bool = false;

            fn double(self) -> f64 {
                self.into()
            }
            fn long(self) -> i64 {
                self as i64
            }
            fn of_double(number: f64) -> Self {
                $of_double(number)
            }
            fn of_long(number: i64) -> Self {
                number as Self
            }
        }
    };
}

float!(f32, narrow);
float!(f64, std::convert::identity);

/// Runs the code with the type `$T` of a [`super::Numeric`].
macro_rules! typed {
    ($kind:expr, $T:ident => $body:expr) => {
        typed!(@ $kind, $T => $body,
            (Bool crate::audio::typed::Truth) (U8 u8) (I16 i16) (I32 i32) (F32 f32) (F64 f64))
    };
    (@ $kind:expr, $T:ident => $body:expr, $(($variant:ident $type:ty))+) => {
        match $kind {
            $(Numeric::$variant => {
                type $T = $type;
                $body
            })+
        }
    };
}

pub(super) use typed;
