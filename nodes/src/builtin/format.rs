//! FormatConverterNode: audio samples as float32, int16 or int32.
//!
//! Full scale of an integer format is 1.0 in float32. Conversion to an integer format rounds to the
//! nearest integer and clips at full scale (NaN becomes 0). The array keeps its shape and memory
//! order; an array that already has the format is passed on unchanged.

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
        doc: "Format of the output: f32 in [-1, 1], i16 or i32.",
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
        _ if source == target && !swapped => Ok(array),
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
