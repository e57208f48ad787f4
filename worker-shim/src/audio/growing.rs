//! New views of numbers that are given one by one.

use super::{Kind, Number, Supply, View, ViewError};

/// The numbers of one dtype that have come so far.
#[derive(Debug)]
pub struct Growing {
    kind: Kind,
    bytes: Vec<u8>,
}

impl Growing {
    /// Without numbers.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, bytes: Vec::new() }
    }

    /// Appends a number.
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

    /// Count of the numbers.
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
    /// The dtype of a subscript of such numbers: a mask, places, or floats, which choose nothing.
    #[must_use]
    pub fn of_subscript(numbers: &[Number]) -> Self {
        let all = |is: fn(&Number) -> bool| numbers.iter().all(is);
        if !numbers.is_empty() && all(|number| matches!(number, Number::Bool(_))) {
            Self::Bool
        } else if all(|number| matches!(number, Number::Bool(_) | Number::Int(_))) {
            Self::I64
        } else {
            Self::F64
        }
    }
}
