//! The built-in nodes, one module each. Audio nodes share `audio_item` and `samples`, arithmetic
//! nodes share `number` and `number_array`.

mod arithmetic;
mod audio_item;
mod calculator;
mod format;
mod number;
mod number_array;
mod passthrough;
mod resample;

pub(crate) mod samples;
mod vad;

use crate::node::NodeType;

/// Every built-in node type.
pub(crate) static ALL: &[&NodeType] = &[
    &passthrough::TYPE,
    &calculator::TYPE,
    &arithmetic::ADD,
    &arithmetic::MULTIPLY,
    &resample::TYPE,
    &vad::TYPE,
    &format::TYPE,
];
