//! Single numbers: how they are read from and written as elements of each dtype.

use bytemuck::pod_read_unaligned;

use super::{Kind, ViewError};

/// A single number, by the Python type that it becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// `bool`.
    Bool(bool),
    /// `int`; 128 bits are enough for every integer dtype.
    Int(i128),
    /// `float`.
    Float(f64),
    /// `complex`.
    Complex(f64, f64),
}

impl Number {
    /// Reads an element; `at` must have exactly the element's size.
    pub(super) fn read(kind: Kind, at: &[u8]) -> Self {
        let complex = |[real, imaginary]: [f64; 2]| Self::Complex(real, imaginary);
        match kind {
            Kind::Bool => Self::Bool(at[0] != 0),
            Kind::I8 => Self::Int(pod_read_unaligned::<i8>(at).into()),
            Kind::I16 => Self::Int(pod_read_unaligned::<i16>(at).into()),
            Kind::I32 => Self::Int(pod_read_unaligned::<i32>(at).into()),
            Kind::I64 => Self::Int(pod_read_unaligned::<i64>(at).into()),
            Kind::U8 => Self::Int(at[0].into()),
            Kind::U16 => Self::Int(pod_read_unaligned::<u16>(at).into()),
            Kind::U32 => Self::Int(pod_read_unaligned::<u32>(at).into()),
            Kind::U64 => Self::Int(pod_read_unaligned::<u64>(at).into()),
            Kind::F16 => Self::Float(half_to_f64(pod_read_unaligned(at))),
            Kind::F32 => Self::Float(pod_read_unaligned::<f32>(at).into()),
            Kind::F64 => Self::Float(pod_read_unaligned(at)),
            Kind::C64 => complex(pod_read_unaligned::<[f32; 2]>(at).map(f64::from)),
            Kind::C128 => complex(pod_read_unaligned(at)),
        }
    }

    /// Calls `store` with the bytes of the number as an element of this kind. A float loses its
    /// fraction if the kind is an integer's, as in numpy.
    ///
    /// # Errors
    /// `OverflowError` for an integer out of range; `TypeError` for complex numbers and for the
    /// kinds `float16` and `complex`, whose elements can only be read and copied.
    pub fn store<T>(self, kind: Kind, store: impl FnOnce(&[u8]) -> T) -> Result<T, ViewError> {
        macro_rules! int {
            ($type:ty) => {{
                let whole = self.whole(kind)?;
                let number = <$type>::try_from(whole).map_err(|_| out_of_range(whole, kind))?;
                store(&number.to_ne_bytes())
            }};
        }
        Ok(match kind {
            Kind::Bool => store(&[self.is_true().into()]),
            Kind::I8 => int!(i8),
            Kind::I16 => int!(i16),
            Kind::I32 => int!(i32),
            Kind::I64 => int!(i64),
            Kind::U8 => int!(u8),
            Kind::U16 => int!(u16),
            Kind::U32 => int!(u32),
            Kind::U64 => int!(u64),
            #[expect(clippy::cast_possible_truncation, reason = "rounding is intended")]
            Kind::F32 => store(&(self.real(kind)? as f32).to_ne_bytes()),
            Kind::F64 => store(&self.real(kind)?.to_ne_bytes()),
            Kind::F16 | Kind::C64 | Kind::C128 => return Err(not_stored(kind, "new numbers")),
        })
    }

    /// Whether the number is not zero.
    pub fn is_true(self) -> bool {
        match self {
            Self::Bool(truth) => truth,
            Self::Int(number) => number != 0,
            Self::Float(number) => number != 0.0,
            Self::Complex(real, imaginary) => real != 0.0 || imaginary != 0.0,
        }
    }

    /// The number as an integer; a float loses its fraction.
    fn whole(self, kind: Kind) -> Result<i128, ViewError> {
        match self {
            Self::Bool(truth) => Ok(truth.into()),
            Self::Int(number) => Ok(number),
            Self::Float(number) if number.is_nan() => {
                Err(ViewError::Value("cannot convert float NaN to integer".to_owned()))
            }
            #[expect(clippy::cast_possible_truncation, reason = "it saturates out of every range")]
            Self::Float(number) => Ok(number as i128),
            Self::Complex(..) => Err(not_stored(kind, "complex numbers")),
        }
    }

    /// The number, rounded to a double.
    pub(super) fn real(self, kind: Kind) -> Result<f64, ViewError> {
        match self {
            Self::Bool(truth) => Ok(truth.into()),
            Self::Int(number) => Ok(number as f64),
            Self::Float(number) => Ok(number),
            Self::Complex(..) => Err(not_stored(kind, "complex numbers")),
        }
    }
}

fn out_of_range(whole: i128, kind: Kind) -> ViewError {
    ViewError::Overflow(format!("Python integer {whole} out of bounds for {}", kind.name()))
}

/// The error for a number that a view cannot store. It moves the node to CPython, where numpy
/// stores the number or raises its own error.
fn not_stored(kind: Kind, what: &str) -> ViewError {
    let name = kind.name();
    ViewError::Unsupported(format!("an 'AudioView' of dtype {name} cannot store {what}"))
}

fn half_to_f64(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = ((bits >> 10) & 0x1f, f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2.0_f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        exponent => (1.0 + fraction / 1024.0) * 2.0_f64.powi(i32::from(exponent) - 15),
    };
    sign * size
}
