//! A value by itself, outside of any connection: what databases keep. It has the form of a frame, so
//! that the same limits and checks apply when it is read.

use serde::{Deserialize, Serialize};

use crate::error::CodecError;
use crate::value::Value;
use crate::visit::{Message, Sealed, Visitor};

/// A value that is kept. Encoded with [`encode`](crate::codec::encode) as any message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The value.
    pub value: Value,
}

impl Message for Kept {
    const NAME: &'static str = "Kept";
    const VARIANTS: &'static [&'static str] = &[];
}

impl Sealed for Kept {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), CodecError> {
        visitor.value(&mut self.value)
    }
}
