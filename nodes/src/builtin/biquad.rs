//! BiquadNode: high-pass, low-pass and notch filters of second order, by the formulas of Robert
//! Bristow-Johnson's "Cookbook formulae for audio EQ biquad filter coefficients", in transposed
//! direct form II with double precision.

use std::f64::consts::PI;

use num_traits::ToPrimitive;

use super::effect::{Channels, Effect, EffectNode, SAMPLE_RATE, STREAMING, above_nyquist};
use crate::error::NodeError;
use crate::node::{Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};

pub(super) static TYPE: NodeType = NodeType {
    name: "BiquadNode",
    version: "1.0.0",
    summary: "Filters audio: high-pass, low-pass or notch.",
    aliases: &[],
    capabilities: &["audio"],
    params: &[
        ParamSpec {
            name: "kind",
            aliases: &["filter"],
            kind: ParamKind::Choice(&["highpass", "lowpass", "notch"]),
            default: ParamDefault::Text("highpass"),
            range: None,
            unit: "",
            doc: "highpass removes what is below the frequency, lowpass what is above, notch what \
                  is at it.",
        },
        ParamSpec {
            name: "frequency",
            aliases: &["frequency_hz", "cutoff"],
            kind: ParamKind::Float,
            default: ParamDefault::Float(80.0),
            range: Some((0.1, 384_000.0)),
            unit: "Hz",
            doc: "Where highpass and lowpass are 3 dB down (with the default q), or the notch; below \
                  half the sample rate.",
        },
        ParamSpec {
            name: "q",
            aliases: &[],
            kind: ParamKind::Float,
            default: ParamDefault::Float(std::f64::consts::FRAC_1_SQRT_2),
            range: Some((0.01, 1_000.0)),
            unit: "",
            doc: "Sharpness: 0.7071 is flat (Butterworth); a notch of q 30 is a thirtieth of its \
                  frequency wide.",
        },
        SAMPLE_RATE,
        STREAMING,
    ],
    exclusive: &[],
    build,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    HighPass,
    LowPass,
    Notch,
}

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    let kind = match params.text("kind")? {
        "lowpass" => Kind::LowPass,
        "notch" => Kind::Notch,
        _ => Kind::HighPass,
    };
    let filter = Biquad {
        kind,
        hz: params.float("frequency")?,
        q: params.float("q")?,
        coefficients: [0.0; 5],
        state: Vec::new(),
    };
    Ok(Box::new(EffectNode::new(filter, params, true)?))
}

struct Biquad {
    kind: Kind,
    hz: f64,
    q: f64,
    /// `b0, b1, b2, a1, a2`, divided by `a0`.
    coefficients: [f64; 5],
    /// Two values for each channel.
    state: Vec<[f64; 2]>,
}

impl Effect for Biquad {
    fn begin(&mut self, rate_hz: u32, channels: usize) -> Result<(), NodeError> {
        if self.hz >= f64::from(rate_hz) / 2.0 {
            return Err(above_nyquist("frequency", self.hz, rate_hz));
        }
        let w = 2.0 * PI * self.hz / f64::from(rate_hz);
        let (sin, cos) = w.sin_cos();
        let alpha = sin / (2.0 * self.q);
        let [b0, b1, b2] = match self.kind {
            Kind::LowPass => [(1.0 - cos) / 2.0, 1.0 - cos, (1.0 - cos) / 2.0],
            Kind::HighPass => [f64::midpoint(1.0, cos), -1.0 - cos, f64::midpoint(1.0, cos)],
            Kind::Notch => [1.0, -2.0 * cos, 1.0],
        };
        let a0 = 1.0 + alpha;
        self.coefficients = [b0, b1, b2, -2.0 * cos, 1.0 - alpha].map(|value| value / a0);
        self.state = vec![[0.0; 2]; channels];
        Ok(())
    }

    fn push(&mut self, mut piece: Channels) -> Channels {
        let [b0, b1, b2, a1, a2] = self.coefficients;
        for (plane, state) in piece.iter_mut().zip(&mut self.state) {
            let [mut first, mut second] = *state;
            for sample in plane.iter_mut() {
                let x = f64::from(*sample);
                let y = b0 * x + first;
                first = b1 * x - a1 * y + second;
                second = b2 * x - a2 * y;
                *sample = y.to_f32().unwrap_or(0.0);
            }
            *state = [first, second];
        }
        piece
    }
}
