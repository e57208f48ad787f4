//! The filter: a sinc in a Kaiser window, as a continuous function of time.

/// What a filter lets pass, and how much of the rest remains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    /// End of the passband, as a share of the lower of the two Nyquist frequencies. The stopband
    /// begins at that frequency.
    pub(crate) pass: f64,
    /// Rejection in the stopband, in dB; the ripple of the passband is as small.
    pub(crate) rejection_db: f64,
}

/// The impulse response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Response {
    /// Cutoff in cycles per input sample, where the response is half.
    cutoff: f64,
    /// Half of the length, in input samples.
    pub(crate) half: f64,
    beta: f64,
}

impl Response {
    /// `share` is the lower of the two rates, as a share of the input's.
    pub(crate) fn new(shape: Shape, share: f64) -> Self {
        let nyquist = 0.5 * share;
        let width = (1.0 - shape.pass) * nyquist;
        // Kaiser's estimates of length and form for a rejection.
        let length = (shape.rejection_db - 7.95) / (2.285 * 2.0 * std::f64::consts::PI * width);
        Self {
            cutoff: nyquist - width / 2.0,
            half: length / 2.0,
            beta: 0.1102 * (shape.rejection_db - 8.7),
        }
    }

    /// The response at a time in input samples.
    pub(crate) fn at(&self, time: f64) -> f64 {
        let along = time / self.half;
        if along.abs() >= 1.0 {
            return 0.0;
        }
        let window = bessel(self.beta * (1.0 - along * along).sqrt()) / bessel(self.beta);
        2.0 * self.cutoff * sinc(2.0 * self.cutoff * time) * window
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) }
}

/// The modified Bessel function of the first kind, order 0.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= quarter / (n * n);
        sum += term;
        n += 1.0;
    }
    sum
}
