//! The kinds of message that the codec takes, and where payloads stand in each.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::payloads::Visitor;
use crate::error::CodecError;
use crate::from_worker::FromWorker;
use crate::to_worker::ToWorker;
use crate::version::{Hello, MAGIC};

/// A kind of message: [`ToWorker`], [`FromWorker`] or [`Hello`]. Closed to other crates.
pub trait Message: Serialize + DeserializeOwned + Sealed {
    /// Name of the kind, for errors.
    const NAME: &'static str;
    /// Names of the messages of this kind; empty when there is only one, without a name.
    const VARIANTS: &'static [&'static str];
}

/// What the codec alone needs to know about a message.
pub trait Sealed: Sized {
    /// Shows every value and payload of the message to the visitor, in the order of the fields.
    fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), CodecError>;

    /// Checks what the fields' types do not say.
    fn check(&self) -> Result<(), CodecError> {
        Ok(())
    }
}

impl Message for ToWorker {
    const NAME: &'static str = "ToWorker";
    const VARIANTS: &'static [&'static str] = &[
        "Welcome",
        "Open",
        "Item",
        "Start",
        "Flush",
        "Credit",
        "Close",
        "SharedMemory",
        "Share",
        "Spin",
        "End",
    ];
}

impl Sealed for ToWorker {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), CodecError> {
        match self {
            Self::Open(open) => {
                for node in open.stages.iter_mut().flat_map(|stage| &mut stage.nodes) {
                    visitor.value(&mut node.params)?;
                }
                open.instances.as_mut().map_or(Ok(()), |pickle| visitor.payload(pickle))
            }
            Self::Item(item) => visitor.value(&mut item.value),
            Self::Welcome(_)
            | Self::Start(_)
            | Self::Flush(_)
            | Self::Credit(_)
            | Self::Close
            | Self::SharedMemory(_)
            | Self::Share(_)
            | Self::Spin(_)
            | Self::End(_) => Ok(()),
        }
    }
}

impl Message for FromWorker {
    const NAME: &'static str = "FromWorker";
    const VARIANTS: &'static [&'static str] =
        &["Opened", "Output", "Done", "Failed", "Log", "Closed", "Share", "Ending"];
}

impl Sealed for FromWorker {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), CodecError> {
        match self {
            Self::Output(output) => visitor.value(&mut output.value),
            Self::Closed(closed) => closed
                .states
                .iter_mut()
                .try_for_each(|state| visitor.payload(&mut state.attributes)),
            Self::Opened(_)
            | Self::Done(_)
            | Self::Failed(_)
            | Self::Log(_)
            | Self::Share(_)
            | Self::Ending => Ok(()),
        }
    }
}

impl Message for Hello {
    const NAME: &'static str = "Hello";
    const VARIANTS: &'static [&'static str] = &[];
}

impl Sealed for Hello {
    fn visit<V: Visitor>(&mut self, _visitor: &mut V) -> Result<(), CodecError> {
        Ok(())
    }

    fn check(&self) -> Result<(), CodecError> {
        if self.magic == MAGIC {
            return Ok(());
        }
        Err(CodecError::WrongMagic { found: self.magic.clone() })
    }
}
