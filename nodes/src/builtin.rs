//! The built-in nodes, one module each. Audio nodes share `audio_item`, `samples`
//! and, where sound goes in and comes out, `effect`; arithmetic
//! nodes share `number` and `number_array`.

mod arithmetic;
mod audio_item;
mod biquad;
mod calculator;
mod channels;
mod chunker;
mod denoise;
mod effect;
mod format;
mod gain;
mod level;
mod mel;
mod normalize;
mod number;
mod number_array;
#[cfg(feature = "opus")]
mod opus;
mod passthrough;
mod recycled;
mod resample;

pub(crate) mod samples;
mod trim;
mod vad;

use crate::node::NodeType;
pub(crate) use format::interleaved;

/// Every built-in node type.
pub(crate) static ALL: &[&NodeType] = &[
    &passthrough::TYPE,
    &calculator::TYPE,
    &arithmetic::ADD,
    &arithmetic::MULTIPLY,
    &resample::TYPE,
    &vad::TYPE,
    &format::TYPE,
    &gain::TYPE,
    &normalize::TYPE,
    &channels::MIX,
    &channels::SPLIT,
    &biquad::TYPE,
    &chunker::TYPE,
    &trim::TYPE,
    &level::TYPE,
    &mel::TYPE,
    &denoise::TYPE,
    #[cfg(feature = "opus")]
    &opus::ENCODER,
    #[cfg(feature = "opus")]
    &opus::DECODER,
];
