//! NoiseSuppressionNode: RNNoise (crate `nnnoiseless`), a small recurrent network that keeps speech.
//! It works at 48 kHz; other rates are converted there and back. Nothing is delayed.

use std::collections::VecDeque;

use nnnoiseless::DenoiseState;
use num_traits::ToPrimitive;

use super::effect::{Channels, Effect, EffectNode, SAMPLE_RATE, STREAMING};
use crate::error::NodeError;
use crate::node::{Node, NodeType};
use crate::params::{ParamProblem, Params};
use crate::resampler::{Quality, Resampler, output_samples};

/// The rate of the network.
const RATE_HZ: u32 = 48_000;
const FRAME: usize = DenoiseState::FRAME_SIZE;
/// Full scale of the network's samples.
const FULL_SCALE: f32 = 32_768.0;

pub(super) static TYPE: NodeType = NodeType {
    name: "NoiseSuppressionNode",
    version: "1.0.0",
    summary: "Removes noise from speech with a small neural network (RNNoise).",
    aliases: &[],
    capabilities: &["audio"],
    params: &[SAMPLE_RATE, STREAMING],
    exclusive: &[],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    let effect =
        Suppression { rate_hz: 0, channels: Vec::new(), up: None, down: None, taken: 0, given: 0 };
    Ok(Box::new(EffectNode::new(effect, params, true)?))
}

struct Suppression {
    rate_hz: u32,
    channels: Vec<Channel>,
    /// From and to the rate of the network, if the recording has another.
    up: Option<Resampler>,
    down: Option<Resampler>,
    /// Samples per channel since the recording began.
    taken: u64,
    given: u64,
}

/// One channel at the network's rate.
struct Channel {
    state: Box<DenoiseState<'static>>,
    waiting: VecDeque<f32>,
    /// Outputs of the network lie one frame behind its inputs.
    is_first: bool,
    given: u64,
}

impl Effect for Suppression {
    fn begin(&mut self, rate_hz: u32, channels: usize) -> Result<(), NodeError> {
        self.rate_hz = rate_hz;
        let resampler = |from, to| {
            (rate_hz != RATE_HZ).then(|| Resampler::new(from, to, channels, Quality::High))
        };
        self.up = resampler(rate_hz, RATE_HZ);
        self.down = resampler(RATE_HZ, rate_hz);
        self.channels = (0..channels)
            .map(|_| Channel {
                state: DenoiseState::new(),
                waiting: VecDeque::new(),
                is_first: true,
                given: 0,
            })
            .collect();
        (self.taken, self.given) = (0, 0);
        Ok(())
    }

    fn push(&mut self, piece: Channels) -> Channels {
        self.taken += piece.first().map_or(0, Vec::len) as u64;
        let at_rate = convert(self.up.as_mut(), piece, false);
        let clean = self.denoise(at_rate);
        let out = convert(self.down.as_mut(), clean, false);
        self.given += out.first().map_or(0, Vec::len) as u64;
        out
    }

    fn finish(&mut self) -> Channels {
        let nothing = || vec![Vec::new(); self.channels.len()];
        let mut rest = convert(self.up.as_mut(), nothing(), true);
        let total = output_samples(self.taken, self.rate_hz, RATE_HZ);
        // Zeros push the last samples out.
        rest.iter_mut().for_each(|plane| plane.resize(plane.len() + 2 * FRAME, 0.0));
        let before = self.channels.first().map_or(0, |channel| channel.given);
        let mut clean = self.denoise(rest);
        let left = (total - before).to_usize().unwrap_or(usize::MAX);
        clean.iter_mut().for_each(|plane| plane.truncate(left));
        let mut out = convert(self.down.as_mut(), clean, true);
        let missing = (self.taken - self.given).to_usize().unwrap_or(0);
        // There and back, the rounding of lengths may be off by one.
        out.iter_mut().for_each(|plane| plane.resize(missing, 0.0));
        out
    }
}

impl Suppression {
    fn denoise(&mut self, piece: Channels) -> Channels {
        self.channels.iter_mut().zip(piece).map(|(channel, plane)| channel.push(&plane)).collect()
    }
}

impl Channel {
    fn push(&mut self, plane: &[f32]) -> Vec<f32> {
        self.waiting.extend(plane);
        let mut out = Vec::with_capacity(self.waiting.len());
        let (mut noisy, mut clean) = ([0.0; FRAME], [0.0; FRAME]);
        while self.waiting.len() >= FRAME {
            for (noisy, sample) in noisy.iter_mut().zip(self.waiting.drain(..FRAME)) {
                *noisy = sample.clamp(-1.0, 1.0) * FULL_SCALE;
            }
            self.state.process_frame(&mut clean, &noisy);
            if !std::mem::take(&mut self.is_first) {
                out.extend(clean.iter().map(|sample| sample / FULL_SCALE));
            }
        }
        self.given += out.len() as u64;
        out
    }
}

fn convert(resampler: Option<&mut Resampler>, piece: Channels, is_end: bool) -> Channels {
    let Some(resampler) = resampler else { return piece };
    let mut out = vec![Vec::new(); piece.len()];
    resampler.push(piece.iter().map(Vec::as_slice), &mut out);
    if is_end {
        resampler.finish(&mut out);
    }
    out
}
