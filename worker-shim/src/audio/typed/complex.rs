//! Arithmetic of complex numbers; they are ordered by their real parts first, as in numpy.

use std::cmp::Ordering;

use super::super::element::narrow;
use super::{Complex, Element, Field, Ring, Wide};

/// Whole exponents up to here are multiplied out.
const MULTIPLIED_OUT: f64 = 100.0;

macro_rules! complexes {
    ($($part:ty, $of_double:expr);+) => {$(
        impl Complex<$part> {
            pub(in super::super) fn size(self) -> $part {
                self.0[0].hypot(self.0[1])
            }

            fn is_zero(self) -> bool {
                self.0 == [0.0, 0.0]
            }
        }

        impl PartialOrd for Complex<$part> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                let (Self([a, b]), Self([c, d])) = (self, other);
                match a.partial_cmp(c) {
                    Some(Ordering::Equal) => b.partial_cmp(d),
                    Some(_) if b.is_nan() || d.is_nan() => None,
                    order => order,
                }
            }
        }

        impl Element for Complex<$part> {
            fn wide(self) -> Wide {
                Wide::Complex(self.0[0].into(), self.0[1].into())
            }
            fn of(wide: Wide) -> Self {
                match wide {
                    Wide::Complex(a, b) => Self([$of_double(a), $of_double(b)]),
                    real => Self([<$part>::of(real), 0.0]),
                }
            }
        }

        impl Ring for Complex<$part> {
            fn plus(self, other: Self) -> Self {
                let (Self([a, b]), Self([c, d])) = (self, other);
                Self([a + c, b + d])
            }
            fn minus(self, other: Self) -> Self {
                let (Self([a, b]), Self([c, d])) = (self, other);
                Self([a - c, b - d])
            }
            fn times(self, other: Self) -> Self {
                let (Self([a, b]), Self([c, d])) = (self, other);
                Self([a * c - b * d, a * d + b * c])
            }
            fn power(self, exponent: Self) -> Self {
                let one = Self([1.0, 0.0]);
                if exponent.is_zero() {
                    return one;
                }
                let is_real = exponent.0[1] == 0.0;
                if self.is_zero() {
                    let is_zero = is_real && exponent.0[0] > 0.0;
                    return if is_zero { self } else { Self([<$part>::NAN; 2]) };
                }
                let whole = f64::from(exponent.0[0]);
                if is_real && whole.fract() == 0.0 && whole.abs() < MULTIPLIED_OUT {
                    let factors = 0..i64::of(Wide::Float(whole.abs()));
                    let product = factors.fold(one, |product, _| product.times(self));
                    return if whole < 0.0 { one.over(product) } else { product };
                }
                let logarithm = Self([self.size().ln(), self.0[1].atan2(self.0[0])]);
                let Self([size, angle]) = exponent.times(logarithm);
                Self([size.exp() * angle.cos(), size.exp() * angle.sin()])
            }
            fn negated(self) -> Self {
                Self([-self.0[0], -self.0[1]])
            }
        }

        impl Field for Complex<$part> {
            fn over(self, other: Self) -> Self {
                let (Self([a, b]), Self([c, d])) = (self, other);
                if other.is_zero() {
                    return Self([a / c.abs(), b / c.abs()]);
                }
                // Smith's way, which does not overflow.
                if c.abs() >= d.abs() {
                    let ratio = d / c;
                    let scale = 1.0 / (c + d * ratio);
                    return Self([(a + b * ratio) * scale, (b - a * ratio) * scale]);
                }
                let ratio = c / d;
                let scale = 1.0 / (d + c * ratio);
                Self([(a * ratio + b) * scale, (b * ratio - a) * scale])
            }
        }
    )+};
}

complexes!(f32, narrow; f64, std::convert::identity);
