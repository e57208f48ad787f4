//! The kinds of numbers that a view can have, and one number.

use ipc_protocol::Dtype;

use super::ViewError;

/// A kind of number in this machine's byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One byte, zero or not.
    Bool,
    /// Signed integers.
    I8,
    /// Two bytes.
    I16,
    /// Four bytes.
    I32,
    /// Eight bytes.
    I64,
    /// Unsigned integers.
    U8,
    /// Two bytes.
    U16,
    /// Four bytes.
    U32,
    /// Eight bytes.
    U64,
    /// IEEE half precision.
    F16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Two singles.
    C64,
    /// Two doubles.
    C128,
}

/// One number, as Python has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// `bool`.
    Bool(bool),
    /// `int`; wide enough for every element.
    Int(i128),
    /// `float`.
    Float(f64),
    /// `complex`.
    Complex(f64, f64),
}

/// Name of numpy, numpy's typestring without its byte order, format of `struct`, bytes.
const TABLE: [(Kind, &str, &str, &str, usize); 14] = [
    (Kind::Bool, "bool", "b1", "?", 1),
    (Kind::I8, "int8", "i1", "b", 1),
    (Kind::I16, "int16", "i2", "h", 2),
    (Kind::I32, "int32", "i4", "i", 4),
    (Kind::I64, "int64", "i8", "q", 8),
    (Kind::U8, "uint8", "u1", "B", 1),
    (Kind::U16, "uint16", "u2", "H", 2),
    (Kind::U32, "uint32", "u4", "I", 4),
    (Kind::U64, "uint64", "u8", "Q", 8),
    (Kind::F16, "float16", "f2", "e", 2),
    (Kind::F32, "float32", "f4", "f", 4),
    (Kind::F64, "float64", "f8", "d", 8),
    (Kind::C64, "complex64", "c8", "Zf", 8),
    (Kind::C128, "complex128", "c16", "Zd", 16),
];

impl Kind {
    fn row(self) -> &'static (Self, &'static str, &'static str, &'static str, usize) {
        let found = TABLE.iter().find(|row| row.0 == self);
        found.unwrap_or(&TABLE[0])
    }

    /// numpy's name, for instance `float32`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The format of `struct` and `memoryview`.
    #[must_use]
    pub fn format(self) -> &'static str {
        self.row().3
    }

    /// Bytes of one element.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.row().4
    }

    /// The type as it is written on the wire.
    #[must_use]
    pub fn dtype(self) -> Dtype {
        let order = match (self.bytes(), cfg!(target_endian = "little")) {
            (1, _) => '|',
            (_, true) => '<',
            (_, false) => '>',
        };
        let item_bytes = u32::try_from(self.bytes()).unwrap_or(u32::MAX);
        Dtype { descr: format!("{order}{}", self.row().2), item_bytes }
    }

    /// The kind of a dtype of the wire; `None` for what is no plain number of this machine.
    #[must_use]
    pub fn of_dtype(dtype: &Dtype) -> Option<Self> {
        let native = if cfg!(target_endian = "little") { '<' } else { '>' };
        let rest = dtype.descr.strip_prefix([native, '|'])?;
        TABLE.iter().find(|row| row.2 == rest).map(|row| row.0)
    }

    /// The kind that a user names: `float32`, `f4`, `<f4`, or a format of `struct` such as `f`.
    ///
    /// # Errors
    /// `TypeError` with the known names.
    pub fn named(name: &str) -> Result<Self, ViewError> {
        let native = if cfg!(target_endian = "little") { ['<', '|', '='] } else { ['>', '|', '='] };
        let bare = name.strip_prefix(native).unwrap_or(name);
        let is_meant =
            |row: &&(Self, &str, &str, &str, usize)| [row.1, row.2, row.3].contains(&bare);
        let long = match bare {
            "l" => Some(Self::I64),
            "L" => Some(Self::U64),
            "float" => Some(Self::F64),
            "int" => Some(Self::I64),
            "complex" => Some(Self::C128),
            _ => None,
        };
        long.or_else(|| TABLE.iter().find(is_meant).map(|row| row.0)).ok_or_else(|| {
            let known: Vec<&str> = TABLE.iter().map(|row| row.1).collect();
            ViewError::Type(format!(
                "no plain number is called {name:?}; known: {}",
                known.join(", ")
            ))
        })
    }

    /// Reads an element from exactly its bytes.
    pub(super) fn read(self, at: &[u8]) -> Number {
        macro_rules! from {
            ($type:ty) => {
                <$type>::from_ne_bytes(fixed(at))
            };
        }
        match self {
            Self::Bool => Number::Bool(at[0] != 0),
            Self::I8 => Number::Int(from!(i8).into()),
            Self::I16 => Number::Int(from!(i16).into()),
            Self::I32 => Number::Int(from!(i32).into()),
            Self::I64 => Number::Int(from!(i64).into()),
            Self::U8 => Number::Int(at[0].into()),
            Self::U16 => Number::Int(from!(u16).into()),
            Self::U32 => Number::Int(from!(u32).into()),
            Self::U64 => Number::Int(from!(u64).into()),
            Self::F16 => Number::Float(half_to_f64(from!(u16))),
            Self::F32 => Number::Float(from!(f32).into()),
            Self::F64 => Number::Float(from!(f64)),
            Self::C64 => Number::Complex(
                f32::from_ne_bytes(fixed(&at[..4])).into(),
                f32::from_ne_bytes(fixed(&at[4..])).into(),
            ),
            Self::C128 => Number::Complex(
                f64::from_ne_bytes(fixed(&at[..8])),
                f64::from_ne_bytes(fixed(&at[8..])),
            ),
        }
    }

    /// Writes an element to exactly its bytes.
    ///
    /// # Errors
    /// `OverflowError` for an integer out of range, `TypeError` for a number that the kind has not.
    pub(super) fn write(self, at: &mut [u8], number: Number) -> Result<(), ViewError> {
        macro_rules! int {
            ($type:ty) => {{
                let number = <$type>::try_from(number.as_int(self)?)
                    .map_err(|_| out_of_range(self, number))?;
                at.copy_from_slice(&number.to_ne_bytes());
            }};
        }
        match self {
            Self::Bool => at[0] = u8::from(number.is_true()),
            Self::I8 => int!(i8),
            Self::I16 => int!(i16),
            Self::I32 => int!(i32),
            Self::I64 => int!(i64),
            Self::U8 => int!(u8),
            Self::U16 => int!(u16),
            Self::U32 => int!(u32),
            Self::U64 => int!(u64),
            Self::F16 => at.copy_from_slice(&f64_to_half(number.as_float(self)?).to_ne_bytes()),
            Self::F32 => at.copy_from_slice(&narrow(number.as_float(self)?).to_ne_bytes()),
            Self::F64 => at.copy_from_slice(&number.as_float(self)?.to_ne_bytes()),
            Self::C64 => {
                let (real, imaginary) = number.as_complex();
                at[..4].copy_from_slice(&narrow(real).to_ne_bytes());
                at[4..].copy_from_slice(&narrow(imaginary).to_ne_bytes());
            }
            Self::C128 => {
                let (real, imaginary) = number.as_complex();
                at[..8].copy_from_slice(&real.to_ne_bytes());
                at[8..].copy_from_slice(&imaginary.to_ne_bytes());
            }
        }
        Ok(())
    }

    /// The nearest number that the kind has: integers are cut off and kept within their range.
    #[must_use]
    pub fn nearest(self, number: Number) -> Number {
        let (low, high) = match self {
            Self::I8 => (i8::MIN.into(), i8::MAX.into()),
            Self::I16 => (i16::MIN.into(), i16::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::I64 => (i64::MIN.into(), i64::MAX.into()),
            Self::U8 => (0, u8::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
            Self::Bool => return Number::Bool(number.is_true()),
            Self::C64 | Self::C128 => {
                let (real, imaginary) = number.as_complex();
                return Number::Complex(real, imaginary);
            }
            Self::F16 | Self::F32 | Self::F64 => return Number::Float(number.real()),
        };
        let whole: i128 = match number {
            Number::Int(number) => number,
            Number::Bool(truth) => truth.into(),
            // `as` goes to the nearest that there is, and makes NaN zero.
            #[expect(clippy::cast_possible_truncation, reason = "that is what is asked for")]
            Number::Float(number) | Number::Complex(number, _) => number.trunc() as i128,
        };
        Number::Int(whole.clamp(low, high))
    }
}

impl Number {
    /// Whether it is not zero.
    #[must_use]
    pub fn is_true(self) -> bool {
        match self {
            Self::Bool(truth) => truth,
            Self::Int(number) => number != 0,
            Self::Float(number) => number != 0.0,
            Self::Complex(real, imaginary) => real != 0.0 || imaginary != 0.0,
        }
    }

    /// The number without an imaginary part, as near as a double gets.
    #[must_use]
    pub fn real(self) -> f64 {
        match self {
            Self::Bool(truth) => f64::from(u8::from(truth)),
            #[expect(clippy::cast_precision_loss, reason = "as near as a double gets")]
            Self::Int(number) => number as f64,
            Self::Float(number) | Self::Complex(number, _) => number,
        }
    }

    /// Both parts.
    #[must_use]
    pub fn as_complex(self) -> (f64, f64) {
        match self {
            Self::Complex(real, imaginary) => (real, imaginary),
            other => (other.real(), 0.0),
        }
    }

    fn as_int(self, kind: Kind) -> Result<i128, ViewError> {
        match self {
            Self::Bool(truth) => Ok(truth.into()),
            Self::Int(number) => Ok(number),
            Self::Float(_) | Self::Complex(..) => Err(ViewError::Type(format!(
                "elements of dtype {} are whole numbers; use int() or astype() first",
                kind.name()
            ))),
        }
    }

    fn as_float(self, kind: Kind) -> Result<f64, ViewError> {
        match self {
            Self::Complex(..) => Err(ViewError::Type(format!(
                "elements of dtype {} have no imaginary part",
                kind.name()
            ))),
            other => Ok(other.real()),
        }
    }
}

fn out_of_range(kind: Kind, number: Number) -> ViewError {
    let number = match number {
        Number::Int(number) => number.to_string(),
        other => other.real().to_string(),
    };
    ViewError::Overflow(format!("{number} is out of range for dtype {}", kind.name()))
}

fn fixed<const N: usize>(at: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(at);
    bytes
}

#[expect(clippy::cast_possible_truncation, reason = "the nearest single is meant")]
pub(super) fn narrow(number: f64) -> f32 {
    number as f32
}

pub(super) fn half_to_f64(bits: u16) -> f64 {
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

/// Rounds to the nearest half, ties to even, as IEEE 754 has it.
pub(super) fn f64_to_half(number: f64) -> u16 {
    let sign = if number.is_sign_negative() { 0x8000 } else { 0 };
    let size = number.abs();
    if size.is_nan() {
        return sign | 0x7e00;
    }
    if size >= 65520.0 {
        return sign | 0x7c00;
    }
    // The unit in the last place; below 2^-14 halves are evenly spaced.
    let exponent = if size < 2.0_f64.powi(-14) { -14 } else { exponent_of(size) };
    let steps = (size / 2.0_f64.powi(exponent - 10)).round_ties_even();
    // `steps` is at most 2048; a carry into the exponent is right as it is.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small and positive"
    )]
    let (steps, biased) = (steps as u16, (exponent + 14) as u16);
    sign | ((biased << 10) + steps)
}

fn exponent_of(size: f64) -> i32 {
    i32::try_from((size.to_bits() >> 52) & 0x7ff).unwrap_or(0) - 1023
}
