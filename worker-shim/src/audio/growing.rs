//! Views of numbers that come one after another.

use super::{Kind, Number, Supply, View, ViewError};

/// Numbers of one kind, as many as came so far.
#[derive(Debug)]
pub struct Growing {
    kind: Kind,
    bytes: Vec<u8>,
}

impl Growing {
    /// No numbers yet.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, bytes: Vec::new() }
    }

    /// One more.
    ///
    /// # Errors
    /// `OverflowError` or `TypeError` when it does not fit.
    pub fn push(&mut self, number: Number) -> Result<(), ViewError> {
        let start = self.bytes.len();
        self.bytes.resize(start + self.kind.bytes(), 0);
        self.kind.write(&mut self.bytes[start..], number)
    }

    /// The view of them.
    ///
    /// # Errors
    /// `ValueError` for a shape of another number of elements.
    pub fn view(self, shape: &[usize], supply: &Supply) -> Result<View, ViewError> {
        let block = supply.block(self.bytes.len());
        block.write(0, &self.bytes);
        View::over(block, self.kind, shape)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / self.kind.bytes()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Kind {
    /// The kind that numbers of Python are by themselves; of none, whole numbers.
    #[must_use]
    pub fn of_numbers(numbers: &[Number]) -> Self {
        let kinds = numbers.iter().map(|number| match number {
            Number::Bool(_) => Self::Bool,
            Number::Int(_) => Self::I64,
            Number::Float(_) => Self::F64,
            Number::Complex(..) => Self::C128,
        });
        kinds.reduce(Self::common).unwrap_or(Self::I64)
    }
}
