//! LevelMeterNode: how loud audio is, as numbers.

use ipc_protocol::Value;

use super::audio_item::{self, AudioItem, BareRate};
use super::effect::SAMPLE_RATE;
use super::normalize::{decibels, loudness, peak, rms};
use crate::error::NodeError;
use crate::node::{Emit, Node, NodeType};
use crate::params::{ParamProblem, Params};

/// What silence has instead of minus infinity.
const SILENCE_DB: f64 = -120.0;

pub(super) static TYPE: NodeType = NodeType {
    name: "LevelMeterNode",
    version: "1.0.0",
    summary: "Measures peak, RMS level and loudness of each item.",
    aliases: &[],
    capabilities: &["audio"],
    params: &[SAMPLE_RATE],
    exclusive: &[],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    Ok(Box::new(LevelMeter { bare_rate: BareRate::new(params, SAMPLE_RATE.name)? }))
}

struct LevelMeter {
    bare_rate: BareRate,
}

impl Node for LevelMeter {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let item = AudioItem::take(input)?;
        let rate_hz = self.bare_rate.of(&item);
        let planes = audio_item::planes(&item.array)?;
        let channels: Vec<Vec<f32>> = planes.iter().map(<[f32]>::to_vec).collect();
        let db = |level: f64| Value::Float(decibels(level).max(SILENCE_DB));
        let by_channel = |measure: fn(&[Vec<f32>]) -> f64| {
            Value::List(channels.iter().map(|c| db(measure(std::slice::from_ref(c)))).collect())
        };
        let clipped = channels.iter().flatten().filter(|sample| sample.abs() >= 1.0).count();
        let entries = [
            ("peak_db", db(peak(&channels))),
            ("rms_db", db(rms(&channels))),
            ("loudness_lufs", loudness(&channels, rate_hz).map_or(Value::None, Value::Float)),
            ("clipped_samples", Value::Int(i64::try_from(clipped).unwrap_or(i64::MAX))),
            ("channel_peak_db", by_channel(peak)),
            ("channel_rms_db", by_channel(rms)),
        ];
        let entries = entries.into_iter().map(|(key, value)| (Value::from(key), value));
        emit(Value::Dict(entries.collect()));
        Ok(())
    }

    fn take_notice(&mut self) -> Option<String> {
        self.bare_rate.take_notice()
    }
}
