//! Arithmetic of halves: of singles, rounded.

use std::cmp::Ordering;

use super::super::element::{f64_to_half, half_to_f64, narrow};
use super::{Element, Field, Half, Real, Ring, Wide};

impl Half {
    fn single(self) -> f32 {
        narrow(half_to_f64(self.0))
    }

    fn rounded(number: f32) -> Self {
        Self(f64_to_half(number.into()))
    }
}

impl PartialEq for Half {
    fn eq(&self, other: &Self) -> bool {
        self.single() == other.single()
    }
}

impl PartialOrd for Half {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.single().partial_cmp(&other.single())
    }
}

impl Element for Half {
    fn wide(self) -> Wide {
        Wide::Float(half_to_f64(self.0))
    }
    fn of(wide: Wide) -> Self {
        Self(f64_to_half(f64::of(wide)))
    }
}

impl Ring for Half {
    fn plus(self, other: Self) -> Self {
        Self::rounded(self.single() + other.single())
    }
    fn minus(self, other: Self) -> Self {
        Self::rounded(self.single() - other.single())
    }
    fn times(self, other: Self) -> Self {
        Self::rounded(self.single() * other.single())
    }
    fn power(self, exponent: Self) -> Self {
        Self::rounded(self.single().power(exponent.single()))
    }
    fn negated(self) -> Self {
        Self(self.0 ^ 0x8000)
    }
}

impl Field for Half {
    fn over(self, other: Self) -> Self {
        Self::rounded(self.single() / other.single())
    }
}

impl Real for Half {
    fn floor_over(self, other: Self) -> Self {
        Self::rounded(self.single().floor_over(other.single()))
    }
    fn modulo(self, other: Self) -> Self {
        Self::rounded(self.single().modulo(other.single()))
    }
    fn absolute(self) -> Self {
        Self(self.0 & 0x7fff)
    }
}
