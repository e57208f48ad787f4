//! The dtypes that a view can have, and one number.

use ipc_protocol::Dtype;

use super::ViewError;

/// A plain dtype in this machine's byte order.
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

    /// Whether its numbers are integers or truths.
    pub(super) fn is_whole(self) -> bool {
        !matches!(self, Self::F16 | Self::F32 | Self::F64 | Self::C64 | Self::C128)
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

    /// The kind of a dtype on the wire; `None` for other elements than plain numbers in this machine's
    /// byte order.
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
            let known = known.join(", ");
            ViewError::Type(format!("an 'AudioView' has no dtype {name:?}; known: {known}"))
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

    /// Writes an element to exactly its bytes, as numpy does: integers lose the fraction of a float.
    ///
    /// # Errors
    /// `OverflowError` for an integer out of range; `TypeError` for complex numbers and for elements
    /// of half precision and complex ones, which can be read and copied only.
    pub(super) fn write(self, at: &mut [u8], number: Number) -> Result<(), ViewError> {
        macro_rules! int {
            ($type:ty) => {{
                let whole = <$type>::try_from(number.whole(self)?)
                    .map_err(|_| out_of_range(self, number))?;
                at.copy_from_slice(&whole.to_ne_bytes());
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
            Self::F32 => at.copy_from_slice(&narrow(number.real(self)?).to_ne_bytes()),
            Self::F64 => at.copy_from_slice(&number.real(self)?.to_ne_bytes()),
            Self::F16 | Self::C64 | Self::C128 => return Err(not_written(self, "other numbers")),
        }
        Ok(())
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

    /// The integer, without the fraction of a float.
    fn whole(self, kind: Kind) -> Result<i128, ViewError> {
        match self {
            Self::Bool(truth) => Ok(truth.into()),
            Self::Int(number) => Ok(number),
            Self::Float(number) if number.is_nan() => {
                Err(ViewError::Value("cannot convert float NaN to integer".to_owned()))
            }
            #[expect(clippy::cast_possible_truncation, reason = "what is out of range stays so")]
            Self::Float(number) => Ok(number as i128),
            Self::Complex(..) => Err(not_written(kind, "complex numbers")),
        }
    }

    /// The number as near as a double gets.
    pub(super) fn real(self, kind: Kind) -> Result<f64, ViewError> {
        match self {
            Self::Bool(truth) => Ok(f64::from(u8::from(truth))),
            #[expect(clippy::cast_precision_loss, reason = "as near as a double gets")]
            Self::Int(number) => Ok(number as f64),
            Self::Float(number) => Ok(number),
            Self::Complex(..) => Err(not_written(kind, "complex numbers")),
        }
    }
}

/// Naming the class moves the node to CPython, where numpy writes them or says why not.
fn not_written(kind: Kind, what: &str) -> ViewError {
    let name = kind.name();
    ViewError::Type(format!("an 'AudioView' of dtype {name} takes no {what} as elements"))
}

fn out_of_range(kind: Kind, number: Number) -> ViewError {
    let number = match number {
        Number::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    ViewError::Overflow(format!("Python integer {number} out of bounds for {}", kind.name()))
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
