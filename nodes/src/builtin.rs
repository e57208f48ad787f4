//! The nodes that come with the product, one module each. What audio nodes share is in
//! `audio_item` and `samples`, what arithmetic nodes share in `number` and `number_array`.

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
