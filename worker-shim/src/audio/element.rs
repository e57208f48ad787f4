//! The dtypes of views, and single numbers.

use ipc_protocol::Dtype;

use super::ViewError;

/// Names and size of a dtype.
struct Facts {
    kind: Kind,
    name: &'static str,
    /// numpy's type string without the byte order.
    wire: &'static str,
    /// The format character of Python's `struct`.
    format: &'static str,
    bytes: usize,
}

macro_rules! kinds {
    ($($kind:ident $name:literal $wire:literal $format:literal $bytes:literal;)+) => {
        /// A plain dtype in this machine's byte order. First come the dtypes that views compute
        /// with, ordered so that the common dtype of two is mostly the later; then the other
        /// dtypes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = concat!("numpy's `", $name, "`")] $kind,)+
        }

        const ALL: &[Facts] = &[$(Facts {
            kind: Kind::$kind, name: $name, wire: $wire, format: $format, bytes: $bytes,
        }),+];
    };
}

kinds! {
    Bool "bool" "b1" "?" 1;
    U8 "uint8" "u1" "B" 1;
    I16 "int16" "i2" "h" 2;
    I32 "int32" "i4" "i" 4;
    F32 "float32" "f4" "f" 4;
    F64 "float64" "f8" "d" 8;
    I8 "int8" "i1" "b" 1;
    I64 "int64" "i8" "q" 8;
    U16 "uint16" "u2" "H" 2;
    U32 "uint32" "u4" "I" 4;
    U64 "uint64" "u8" "Q" 8;
    F16 "float16" "f2" "e" 2;
    C64 "complex64" "c8" "Zf" 8;
    C128 "complex128" "c16" "Zd" 16;
}

/// Size of the largest element, in bytes.
const LARGEST: usize = 16;

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

impl Kind {
    fn facts(self) -> &'static Facts {
        &ALL[self as usize]
    }

    /// numpy's name, for instance `float32`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The format in the sense of Python's `struct` and `memoryview`.
    #[must_use]
    pub fn format(self) -> &'static str {
        self.facts().format
    }

    /// Size of one element, in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.facts().bytes
    }

    /// The dtype as it is written on the wire.
    #[must_use]
    pub fn dtype(self) -> Dtype {
        let order = match (self.bytes(), cfg!(target_endian = "little")) {
            (1, _) => '|',
            (_, true) => '<',
            (_, false) => '>',
        };
        let item_bytes = u32::try_from(self.bytes()).unwrap_or(u32::MAX);
        Dtype { descr: format!("{order}{}", self.facts().wire), item_bytes }
    }

    /// The kind of a dtype from the wire; `None` if its elements are not plain numbers in this
    /// machine's byte order.
    #[must_use]
    pub fn of_dtype(dtype: &Dtype) -> Option<Self> {
        let native = if cfg!(target_endian = "little") { '<' } else { '>' };
        let rest = dtype.descr.strip_prefix([native, '|'])?;
        ALL.iter().find(|facts| facts.wire == rest).map(|facts| facts.kind)
    }

    /// The kind with a name that users write: `float32`, `f4`, `<f4`, or a `struct` format such as
    /// `f`.
    ///
    /// # Errors
    /// `TypeError` that lists the known names.
    pub fn named(name: &str) -> Result<Self, ViewError> {
        let native = if cfg!(target_endian = "little") { ['<', '|', '='] } else { ['>', '|', '='] };
        let bare = match name.strip_prefix(native).unwrap_or(name) {
            "l" | "int" => "q",
            "L" => "Q",
            "float" => "d",
            "complex" => "Zd",
            bare => bare,
        };
        let is_meant = |facts: &&Facts| [facts.name, facts.wire, facts.format].contains(&bare);
        ALL.iter().find(is_meant).map(|facts| facts.kind).ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|facts| facts.name).collect();
            let known = known.join(", ");
            ViewError::Unsupported(format!("an 'AudioView' has no dtype {name:?}; known: {known}"))
        })
    }

    /// Reads an element; `at` must have exactly the element's size.
    pub(super) fn read(self, at: &[u8]) -> Number {
        macro_rules! from {
            ($type:ty) => {
                bytemuck::pod_read_unaligned::<$type>(at)
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
            Self::C64 => {
                let [real, imaginary] = from!([f32; 2]);
                Number::Complex(real.into(), imaginary.into())
            }
            Self::C128 => {
                let [real, imaginary] = from!([f64; 2]);
                Number::Complex(real, imaginary)
            }
        }
    }

    /// Appends a number to `bytes` as an element of this kind. A float loses its fraction if the
    /// kind is an integer's, as in numpy.
    ///
    /// # Errors
    /// `OverflowError` for an integer out of range; `TypeError` for complex numbers and for the
    /// kinds `float16` and `complex`, whose elements can only be read and copied.
    pub fn push(self, bytes: &mut Vec<u8>, number: Number) -> Result<(), ViewError> {
        bytes.extend_from_slice(&self.encoded(number)?[..self.bytes()]);
        Ok(())
    }

    /// The bytes of a number as an element of this kind, padded with zeros; see [`Kind::push`].
    ///
    /// # Errors
    /// As [`Kind::push`].
    pub(super) fn encoded(self, number: Number) -> Result<[u8; LARGEST], ViewError> {
        macro_rules! int {
            ($type:ty) => {{
                let whole = <$type>::try_from(number.whole(self)?);
                padded(whole.map_err(|_| self.out_of_range(number))?.to_ne_bytes())
            }};
        }
        Ok(match self {
            Self::Bool => padded([number.is_true().into()]),
            Self::I8 => int!(i8),
            Self::I16 => int!(i16),
            Self::I32 => int!(i32),
            Self::I64 => int!(i64),
            Self::U8 => int!(u8),
            Self::U16 => int!(u16),
            Self::U32 => int!(u32),
            Self::U64 => int!(u64),
            Self::F32 => padded(narrow(number.real(self)?).to_ne_bytes()),
            Self::F64 => padded(number.real(self)?.to_ne_bytes()),
            Self::F16 | Self::C64 | Self::C128 => return Err(self.not_written("new numbers")),
        })
    }

    /// The error for a number that a view cannot store. It moves the node to CPython, where numpy
    /// stores the number or raises its own error.
    fn not_written(self, what: &str) -> ViewError {
        let name = self.name();
        ViewError::Unsupported(format!("an 'AudioView' of dtype {name} cannot store {what}"))
    }

    fn out_of_range(self, number: Number) -> ViewError {
        let number = match number {
            Number::Int(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        ViewError::Overflow(format!("Python integer {number} out of bounds for {}", self.name()))
    }
}

impl Number {
    /// Whether the number is not zero.
    #[must_use]
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
            Self::Complex(..) => Err(kind.not_written("complex numbers")),
        }
    }

    /// The number, rounded to a double.
    pub(super) fn real(self, kind: Kind) -> Result<f64, ViewError> {
        match self {
            Self::Bool(truth) => Ok(truth.into()),
            #[expect(clippy::cast_precision_loss, reason = "rounding to a double is intended")]
            Self::Int(number) => Ok(number as f64),
            Self::Float(number) => Ok(number),
            Self::Complex(..) => Err(kind.not_written("complex numbers")),
        }
    }
}

fn padded<const N: usize>(bytes: [u8; N]) -> [u8; LARGEST] {
    let mut all = [0; LARGEST];
    all[..N].copy_from_slice(&bytes);
    all
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is intended")]
fn narrow(number: f64) -> f32 {
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
