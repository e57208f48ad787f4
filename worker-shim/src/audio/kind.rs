//! The dtypes of views, and the dtype of a result by the rules of numpy 2.

use ipc_protocol::Dtype;

use super::{Number, ViewError};

macro_rules! kinds {
    ($($kind:ident $name:literal $wire:literal $format:literal $bytes:literal;)+) => {
        /// A plain dtype in this machine's byte order. First come the dtypes that views compute
        /// with, ordered so that the common dtype of two is mostly the later; then the other
        /// dtypes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = concat!("numpy's `", $name, "`")] $kind,)+
        }

        impl Kind {
            const ALL: &[Self] = &[$(Self::$kind),+];

            /// numpy's name, for instance `float32`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            /// The format in the sense of Python's `struct` and `memoryview`.
            pub fn format(self) -> &'static str {
                match self { $(Self::$kind => $format),+ }
            }

            /// Size of one element, in bytes.
            pub fn bytes(self) -> usize {
                match self { $(Self::$kind => $bytes),+ }
            }

            /// numpy's type string without the byte order.
            fn wire(self) -> &'static str {
                match self { $(Self::$kind => $wire),+ }
            }
        }
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

/// The sign of this machine's byte order in type strings.
const NATIVE: char = if cfg!(target_endian = "little") { '<' } else { '>' };

impl Kind {
    /// The dtype as it is written on the wire.
    pub fn dtype(self) -> Dtype {
        let order = if self.bytes() == 1 { '|' } else { NATIVE };
        let item_bytes = u32::try_from(self.bytes()).unwrap_or(u32::MAX);
        Dtype { descr: format!("{order}{}", self.wire()), item_bytes }
    }

    /// The kind of a dtype from the wire; `None` if its elements are not plain numbers in this
    /// machine's byte order.
    pub fn of_dtype(dtype: &Dtype) -> Option<Self> {
        let rest = dtype.descr.strip_prefix([NATIVE, '|'])?;
        Self::ALL.iter().copied().find(|kind| kind.wire() == rest)
    }

    /// The kind with a name that users write: `float32`, `f4`, `<f4`, or a `struct` format such as
    /// `f`.
    ///
    /// # Errors
    /// `TypeError` that lists the known names.
    pub fn named(name: &str) -> Result<Self, ViewError> {
        let bare = match name.strip_prefix([NATIVE, '|', '=']).unwrap_or(name) {
            "l" | "int" => "q",
            "L" => "Q",
            "float" => "d",
            "complex" => "Zd",
            bare => bare,
        };
        let is_meant = |kind: &Self| [kind.name(), kind.wire(), kind.format()].contains(&bare);
        Self::ALL.iter().copied().find(is_meant).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            let known = known.join(", ");
            ViewError::Unsupported(format!("an 'AudioView' has no dtype {name:?}; known: {known}"))
        })
    }

    /// Checks that views compute with this dtype, and returns it.
    pub(super) fn computed(self) -> Result<Self, ViewError> {
        if self <= Self::F64 { Ok(self) } else { Err(self.not_computed()) }
    }

    /// The error for a dtype that views do not compute with. It moves the node to CPython.
    pub(super) fn not_computed(self) -> ViewError {
        ViewError::Unsupported(format!(
            "an 'AudioView' computes with bool, uint8, int16, int32, float32 and float64, not with \
             {}",
            self.name()
        ))
    }

    /// Whether this is bool or an integer dtype. Valid only for dtypes that views compute with.
    pub(super) fn is_whole(self) -> bool {
        self < Self::F32
    }

    /// The smallest dtype that can represent the numbers of both; an error as of
    /// [`Kind::computed`].
    pub(super) fn common(self, other: Self) -> Result<Self, ViewError> {
        let (one, other) = (self.computed()?, other.computed()?);
        Ok(match (one.min(other), one.max(other)) {
            // float32 would round large int32 numbers.
            (Self::I32, Self::F32) => Self::F64,
            (_, later) => later,
        })
    }

    /// The common dtype of a view and a Python number, which has no dtype of its own; an error if
    /// numpy's result has a dtype that views do not compute with.
    pub(super) fn common_with_number(self, number: Number) -> Result<Self, ViewError> {
        match number {
            Number::Int(_) if self == Self::Bool => Err(Self::I64.not_computed()),
            Number::Float(_) if self.computed()?.is_whole() => Ok(Self::F64),
            Number::Bool(_) | Number::Int(_) | Number::Float(_) => self.computed(),
            Number::Complex(..) => Err(Self::C128.not_computed()),
        }
    }

    /// Whether an in-place operator may store a result of this dtype in a view of dtype `target`:
    /// not floats in integers, not signed integers in unsigned, not numbers in bools.
    pub(super) fn may_become(self, target: Self) -> bool {
        let family = |kind| match kind {
            Self::Bool => 0,
            Self::U8 => 1,
            Self::I16 | Self::I32 => 2,
            _ => 3,
        };
        family(self) <= family(target)
    }

    /// The smallest and the largest integer of the dtype; `None` for floats.
    pub(super) fn range(self) -> Option<(i128, i128)> {
        match self {
            Self::Bool => Some((0, 1)),
            Self::U8 => Some((0, u8::MAX.into())),
            Self::I16 => Some((i16::MIN.into(), i16::MAX.into())),
            Self::I32 => Some((i32::MIN.into(), i32::MAX.into())),
            _ => None,
        }
    }

    /// Whether a Python integer can be an operand together with this dtype.
    pub(super) fn takes(self, whole: i128) -> bool {
        let holds = |(low, high)| (low..=high).contains(&whole);
        self != Self::Bool && self.range().is_none_or(holds)
    }
}
