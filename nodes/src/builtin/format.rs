//! FormatConverterNode: audio samples as float32, int16 or int32.
//!
//! Full scale of an integer format stands for 1.0. To an integer format, values are rounded to
//! the nearest integer and those beyond full scale are clipped (NaN becomes 0). To float32 they keep
//! their value: NaN and infinities too, and a float64 beyond float32's range becomes infinity. The
//! array keeps its shape, which may be any, and its memory order; an array that already has the
//! format is given on as it is. The output has at most twice the bytes of the input.

#[cfg(test)]
mod tests;

use ipc_protocol::{Array, Value};

use super::audio_item::AudioItem;
use super::samples::{self, Element, Sample};
use crate::error::NodeError;
use crate::node::{Emit, Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};

pub(super) static TYPE: NodeType = NodeType {
    name: "FormatConverterNode",
    version: "1.0.0",
    summary: "Converts audio samples between float32, int16 and int32.",
    aliases: &[],
    capabilities: &["audio"],
    params: &[ParamSpec {
        name: "target_format",
        aliases: &["format", "targetFormat"],
        kind: ParamKind::Choice(&["f32", "i16", "i32"]),
        default: ParamDefault::Text("f32"),
        range: None,
        unit: "",
        doc: "Format of the output: f32 (NaN, infinities and values beyond [-1, 1] stay), i16 or i32 \
              (those are clipped, NaN becomes 0).",
    }],
    exclusive: &[],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    let target = match params.text("target_format")? {
        "i16" => Element::I16,
        "i32" => Element::I32,
        _ => Element::F32,
    };
    Ok(Box::new(FormatConverter { target }))
}

struct FormatConverter {
    target: Element,
}

impl Node for FormatConverter {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let item = AudioItem::take(input)?;
        let rate_hz = item.rate_or(0);
        emit(item.form.answer(convert(item.array, self.target)?, rate_hz));
        Ok(())
    }
}

fn convert(array: Array, target: Element) -> Result<Array, NodeError> {
    let (source, swapped) = Element::of(&array)?;
    match source {
        _ if source == target && !swapped => {
            samples::check_memory(&array, array.dtype.item_bytes as usize)?;
            Ok(array)
        }
        Element::F32 => to_target::<f32>(&array, swapped, target),
        Element::F64 => to_target::<f64>(&array, swapped, target),
        Element::I16 => to_target::<i16>(&array, swapped, target),
        Element::I32 => to_target::<i32>(&array, swapped, target),
    }
}

fn to_target<T: Sample>(array: &Array, swapped: bool, target: Element) -> Result<Array, NodeError> {
    let from = samples::elements::<T>(array, swapped)?;
    let data = match target {
        Element::I16 => samples::payload_of(from.iter().map(|s| s.to_i16()).collect::<Vec<_>>()),
        Element::I32 => samples::payload_of(from.iter().map(|s| s.to_i32()).collect::<Vec<_>>()),
        Element::F32 | Element::F64 => {
            samples::payload_of(from.iter().map(|s| s.to_float()).collect::<Vec<_>>())
        }
    };
    Ok(Array { dtype: target.dtype(), data, ..array.clone() })
}
