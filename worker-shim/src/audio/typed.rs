//! The numbers of each kind as types, so that loops over them are compiled for each.

use std::cmp::Ordering;

use bytemuck::{Pod, Zeroable};

use super::Number;
use super::element::narrow;

mod complex;
mod half;

/// A number on its way from one kind to another; none loses anything here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wide {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Complex(f64, f64),
}

/// A number of some kind.
pub(super) trait Element: Pod + PartialOrd {
    fn wide(self) -> Wide;

    /// The number as numpy converts it: integers wrap around; a float beyond an integer's range,
    /// where numpy promises nothing, becomes the nearest one.
    fn of(wide: Wide) -> Self;

    /// Whether it is not even itself.
    fn is_nan(self) -> bool {
        self.partial_cmp(&self).is_none()
    }
}

/// What can be added and multiplied.
pub(super) trait Ring: Element {
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn power(self, exponent: Self) -> Self;
    fn negated(self) -> Self;
}

/// What can be divided.
pub(super) trait Field: Ring {
    fn over(self, other: Self) -> Self;
}

/// What lies on a line.
pub(super) trait Real: Ring {
    fn floor_over(self, other: Self) -> Self;
    fn modulo(self, other: Self) -> Self;
    fn absolute(self) -> Self;
}

/// One byte that is true or not.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Truth(pub(super) u8);

/// Bits of an IEEE half; computed as single, as numpy does.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Half(u16);

/// The real and the imaginary part.
#[derive(Debug, Clone, Copy, Pod, Zeroable, PartialEq)]
#[repr(transparent)]
pub(super) struct Complex<F>([F; 2]);

impl From<Number> for Wide {
    fn from(number: Number) -> Self {
        match number {
            Number::Bool(truth) => Self::Unsigned(truth.into()),
            Number::Int(whole) => match (i64::try_from(whole), u64::try_from(whole)) {
                (Ok(whole), _) => Self::Signed(whole),
                (_, Ok(whole)) => Self::Unsigned(whole),
                _ => Self::Float(number.real()),
            },
            Number::Float(number) => Self::Float(number),
            Number::Complex(real, imaginary) => Self::Complex(real, imaginary),
        }
    }
}

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

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        Self(u8::from(self.0 == 0))
    }
}

impl Element for Truth {
    fn wide(self) -> Wide {
        Wide::Unsigned(u64::from(self.0 != 0))
    }
    fn of(wide: Wide) -> Self {
        Self(u8::from(match wide {
            Wide::Signed(number) => number != 0,
            Wide::Unsigned(number) => number != 0,
            Wide::Float(number) => number != 0.0,
            Wide::Complex(real, imaginary) => real != 0.0 || imaginary != 0.0,
        }))
    }
}

macro_rules! whole {
    ($($type:ty, $wide:ident, $as:ty, $is_signed:literal);+) => {$(
        impl Element for $type {
            fn wide(self) -> Wide {
                Wide::$wide(<$as>::from(self))
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            fn of(wide: Wide) -> Self {
                match wide {
                    Wide::Signed(number) => number as Self,
                    Wide::Unsigned(number) => number as Self,
                    Wide::Float(number) | Wide::Complex(number, _) => number as Self,
                }
            }
        }

        impl Ring for $type {
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            fn power(self, exponent: Self) -> Self {
                // Negative exponents were refused.
                let (mut result, mut square, mut left) = (1 as Self, self, exponent);
                while left > 0 {
                    if left & 1 == 1 {
                        result = result.wrapping_mul(square);
                    }
                    square = square.wrapping_mul(square);
                    left >>= 1;
                }
                result
            }
            fn negated(self) -> Self {
                self.wrapping_neg()
            }
        }

        impl Real for $type {
            fn floor_over(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let quotient = self.wrapping_div(other);
                let is_below = self.wrapping_rem(other) != 0 && $is_signed && (self ^ other) >> (Self::BITS - 1) != 0;
                quotient.wrapping_sub(Self::from(is_below))
            }
            fn modulo(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let rest = self.wrapping_rem(other);
                let is_below = rest != 0 && $is_signed && (self ^ other) >> (Self::BITS - 1) != 0;
                if is_below { rest.wrapping_add(other) } else { rest }
            }
            fn absolute(self) -> Self {
                if $is_signed && self >> (Self::BITS - 1) != 0 { self.wrapping_neg() } else { self }
            }
        }
    )+};
}

whole!(
    i8, Signed, i64, true; i16, Signed, i64, true; i32, Signed, i64, true; i64, Signed, i64, true;
    u8, Unsigned, u64, false; u16, Unsigned, u64, false; u32, Unsigned, u64, false;
    u64, Unsigned, u64, false
);

macro_rules! floats {
    ($($type:ident, $of_double:expr);+) => {$(
        impl Element for $type {
            fn wide(self) -> Wide {
                Wide::Float(f64::from(self))
            }
            fn of(wide: Wide) -> Self {
                match wide {
                    Wide::Signed(number) => number as Self,
                    Wide::Unsigned(number) => number as Self,
                    Wide::Float(number) | Wide::Complex(number, _) => $of_double(number),
                }
            }
        }

        impl Ring for $type {
            fn plus(self, other: Self) -> Self {
                self + other
            }
            fn minus(self, other: Self) -> Self {
                self - other
            }
            fn times(self, other: Self) -> Self {
                self * other
            }
            fn power(self, exponent: Self) -> Self {
                if exponent == 2.0 { self * self } else { self.powf(exponent) }
            }
            fn negated(self) -> Self {
                -self
            }
        }

        impl Field for $type {
            fn over(self, other: Self) -> Self {
                self / other
            }
        }

        impl Real for $type {
            fn floor_over(self, other: Self) -> Self {
                if other == 0.0 {
                    return self / other;
                }
                let rest = self % other;
                let is_below = rest != 0.0 && (other < 0.0) != (rest < 0.0);
                let quotient = (self - rest) / other - if is_below { 1.0 } else { 0.0 };
                if quotient == 0.0 {
                    return (0.0 as Self).copysign(self / other);
                }
                let floor = quotient.floor();
                if quotient - floor > 0.5 { floor + 1.0 } else { floor }
            }
            fn modulo(self, other: Self) -> Self {
                let rest = self % other;
                if other == 0.0 {
                    return rest;
                }
                if rest == 0.0 {
                    return rest.copysign(other);
                }
                if (other < 0.0) == (rest < 0.0) { rest } else { rest + other }
            }
            fn absolute(self) -> Self {
                self.abs()
            }
        }
    )+};
}

floats!(f32, narrow; f64, std::convert::identity);

/// Runs the code with the type `$T` of a kind; what follows `else` for kinds without that type.
macro_rules! typed {
    (elements $kind:expr, $T:ident => $body:expr) => {
        typed!(@ $kind, $T => $body,
            [(Bool Truth) (I8 i8) (I16 i16) (I32 i32) (I64 i64) (U8 u8) (U16 u16) (U32 u32)
             (U64 u64) (F16 Half) (F32 f32) (F64 f64) (C64 Complex<f32>) (C128 Complex<f64>)],)
    };
    (rings $kind:expr, $T:ident => $body:expr, else $otherwise:expr) => {
        typed!(@ $kind, $T => $body,
            [(I8 i8) (I16 i16) (I32 i32) (I64 i64) (U8 u8) (U16 u16) (U32 u32) (U64 u64)
             (F16 Half) (F32 f32) (F64 f64) (C64 Complex<f32>) (C128 Complex<f64>)],
            _ => $otherwise)
    };
    (fields $kind:expr, $T:ident => $body:expr, else $otherwise:expr) => {
        typed!(@ $kind, $T => $body,
            [(F16 Half) (F32 f32) (F64 f64) (C64 Complex<f32>) (C128 Complex<f64>)],
            _ => $otherwise)
    };
    (reals $kind:expr, $T:ident => $body:expr, else $otherwise:expr) => {
        typed!(@ $kind, $T => $body,
            [(I8 i8) (I16 i16) (I32 i32) (I64 i64) (U8 u8) (U16 u16) (U32 u32) (U64 u64)
             (F16 Half) (F32 f32) (F64 f64)],
            _ => $otherwise)
    };
    (unsigned $kind:expr, $T:ident => $body:expr, else $otherwise:expr) => {
        typed!(@ $kind, $T => $body, [(U8 u8) (U16 u16) (U32 u32) (U64 u64)], _ => $otherwise)
    };
    (signed $kind:expr, $T:ident => $body:expr, else $otherwise:expr) => {
        typed!(@ $kind, $T => $body, [(I8 i8) (I16 i16) (I32 i32) (I64 i64)], _ => $otherwise)
    };
    (widest $kind:expr, $T:ident => $body:expr, else $otherwise:expr) => {
        typed!(@ $kind, $T => $body, [(I64 i64) (U64 u64) (F64 f64) (C128 Complex<f64>)],
            _ => $otherwise)
    };
    (@ $kind:expr, $T:ident => $body:expr, [$(($variant:ident $type:ty))+],
        $($rest:tt => $otherwise:expr)?) => {
        match $kind {
            $(Kind::$variant => {
                type $T = $type;
                $body
            })+
            $($rest => $otherwise,)?
        }
    };
}

pub(super) use typed;
