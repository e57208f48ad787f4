//! The kinds of message, and a walk over the values of each. The codec uses it to move payloads
//! between message and frame, the exchange to move them into shared memory.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::array::{Array, Payload};
use crate::error::CodecError;
use crate::from_worker::FromWorker;
use crate::to_worker::ToWorker;
use crate::value::Value;
use crate::version::{Hello, MAGIC};

/// Code that is called for every value of a message.
pub trait Visitor {
    /// Largest allowed depth of nested containers.
    fn max_depth(&self) -> u32;

    /// Handles one payload.
    fn payload(&mut self, payload: &mut Payload) -> Result<(), CodecError>;

    /// Handles one array: its payload, and whether array and payload agree.
    fn array(&mut self, array: &mut Array) -> Result<(), CodecError>;

    /// Handles one value with everything inside it.
    fn value(&mut self, value: &mut Value) -> Result<(), CodecError> {
        walk(self, value, self.max_depth())
    }
}

fn walk<V: Visitor + ?Sized>(
    visitor: &mut V,
    value: &mut Value,
    depth_left: u32,
) -> Result<(), CodecError> {
    let inner = || {
        let limit = visitor.max_depth();
        depth_left.checked_sub(1).ok_or(CodecError::TooDeep { limit })
    };
    match value {
        Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
            let inner = inner()?;
            items.iter_mut().try_for_each(|item| walk(visitor, item, inner))
        }
        Value::Dict(entries) => {
            let inner = inner()?;
            entries.iter_mut().try_for_each(|(key, value)| {
                walk(visitor, key, inner)?;
                walk(visitor, value, inner)
            })
        }
        Value::Bytes(payload) => visitor.payload(payload),
        Value::Array(array) => visitor.array(array),
        Value::Audio(audio) => visitor.array(&mut audio.samples),
        Value::Opaque(opaque) => visitor.payload(&mut opaque.pickle),
        Value::None
        | Value::Bool(_)
        | Value::Int(_)
        | Value::BigInt(_)
        | Value::Float(_)
        | Value::Str(_) => Ok(()),
    }
}

/// A kind of message: [`ToWorker`], [`FromWorker`] or [`Hello`]. Other crates cannot implement it.
pub trait Message: Serialize + DeserializeOwned + Sealed {
    /// Name of the kind, for error texts.
    const NAME: &'static str;
    /// Names of the messages of this kind; empty for a kind whose only message has no name.
    const VARIANTS: &'static [&'static str];
}

/// The part of [`Message`] that only this crate uses.
pub trait Sealed: Sized {
    /// Calls the visitor for every value and payload of the message, in the order of the fields.
    fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), CodecError>;

    /// Checks rules that the types of the fields do not enforce.
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
        "Abort",
        "Retry",
        "Save",
        "Restore",
        "Batch",
    ];
}

impl Sealed for ToWorker {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), CodecError> {
        match self {
            Self::Open(open) => {
                for node in open.stages.iter_mut().flat_map(|stage| &mut stage.nodes) {
                    visitor.value(&mut node.params)?;
                }
                let saved = open.saved.iter_mut().map(|saved| &mut saved.state);
                let pickle = open.instances.iter_mut().chain(&mut open.buffers);
                pickle.chain(saved).try_for_each(|payload| visitor.payload(payload))
            }
            Self::Restore(saved) => {
                saved.iter_mut().try_for_each(|saved| visitor.payload(&mut saved.state))
            }
            Self::Item(item) => visitor.value(&mut item.value),
            Self::Batch(items) => {
                items.iter_mut().try_for_each(|item| visitor.value(&mut item.value))
            }
            Self::Welcome(_)
            | Self::Start(_)
            | Self::Flush(_)
            | Self::Credit(_)
            | Self::Close
            | Self::SharedMemory(_)
            | Self::Share(_)
            | Self::Spin(_)
            | Self::End(_)
            | Self::Abort(_)
            | Self::Retry(_)
            | Self::Save(_) => Ok(()),
        }
    }
}

impl Message for FromWorker {
    const NAME: &'static str = "FromWorker";
    const VARIANTS: &'static [&'static str] = &[
        "Opened", "Output", "Done", "Failed", "Log", "Closed", "Share", "Loaded", "Ending", "Saved",
    ];
}

impl Sealed for FromWorker {
    fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), CodecError> {
        match self {
            Self::Output(output) => visitor.value(&mut output.value),
            Self::Closed(closed) => closed
                .states
                .iter_mut()
                .try_for_each(|state| visitor.payload(&mut state.attributes)),
            Self::Saved(saved) => {
                saved.states.iter_mut().try_for_each(|saved| visitor.payload(&mut saved.state))
            }
            Self::Opened(_)
            | Self::Done(_)
            | Self::Failed(_)
            | Self::Log(_)
            | Self::Share(_)
            | Self::Loaded(_)
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
