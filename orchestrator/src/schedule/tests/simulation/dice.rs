//! Chance that can be repeated: SplitMix64 (Steele, Lea, Flood 2014).

pub(in crate::schedule::tests) struct Dice(u64);

impl Dice {
    pub(in crate::schedule::tests) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `sides`.
    pub(in crate::schedule::tests) fn roll(&mut self, sides: u64) -> u64 {
        self.next() % sides
    }

    /// True in so many of a thousand cases.
    pub(in crate::schedule::tests) fn chance(&mut self, per_mille: u64) -> bool {
        self.roll(1000) < per_mille
    }

    pub(in crate::schedule::tests) fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.roll(count as u64)).unwrap_or(0)
    }
}
