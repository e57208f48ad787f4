//! What a worker has served so far, and whether that is enough. Pure.

use crate::config::PoolBounds;

/// The sessions of one worker, summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Served {
    /// Calls of its nodes.
    pub calls: u64,
    /// Resident memory at the end of its first session, where that was measured.
    first_resident_bytes: Option<u64>,
}

impl Served {
    /// Called when a session closes, before the worker is returned. Whether the worker is to be
    /// replaced. `resident_bytes` measures its memory, and is called only where a bound needs it.
    pub fn end_session(
        &mut self,
        bounds: &PoolBounds,
        resident_bytes: impl FnOnce() -> u64,
    ) -> bool {
        let has_served = bounds.recycle_after_calls.is_some_and(|most| self.calls >= most);
        let (most, growth) = (bounds.recycle_above_memory, bounds.recycle_above_growth);
        if most.is_none() && growth.is_none() {
            return has_served;
        }
        let resident = resident_bytes();
        let first = *self.first_resident_bytes.get_or_insert(resident);
        has_served
            || most.is_some_and(|most| resident > most)
            || growth.is_some_and(|growth| resident.saturating_sub(first) > growth)
    }
}

#[cfg(test)]
mod tests {
    use super::Served;
    use crate::config::PoolBounds;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_worker_without_bounds_is_never_measured() {
        let unmeasured = || panic!("it was measured");
        let mut served = Served { calls: u64::MAX, ..Served::default() };
        assert!(!served.end_session(&PoolBounds::default(), unmeasured));
        let after_calls =
            PoolBounds { recycle_after_calls: Some(u64::MAX), ..PoolBounds::default() };
        assert!(served.end_session(&after_calls, unmeasured));
    }

    #[test]
    fn calls_of_all_sessions_count() {
        let bounds = PoolBounds { recycle_after_calls: Some(10), ..PoolBounds::default() };
        let mut served = Served::default();
        let ends: Vec<bool> = (0..3)
            .map(|_| {
                served.calls += 4;
                served.end_session(&bounds, || 0)
            })
            .collect();
        assert_eq!(ends, [false, false, true]);
    }

    #[test]
    fn growth_counts_from_the_end_of_the_first_session() {
        let bounds = PoolBounds { recycle_above_growth: Some(10 * MIB), ..PoolBounds::default() };
        let mut served = Served::default();
        let mut ends = |resident| served.end_session(&bounds, || resident);
        // What it imports in its first session is no growth, and memory may be returned.
        assert!(!ends(500 * MIB) && !ends(400 * MIB) && !ends(510 * MIB));
        assert!(ends(510 * MIB + 1));
    }

    #[test]
    fn resident_memory_is_bounded_from_the_first_session_on() {
        let bounds = PoolBounds { recycle_above_memory: Some(10 * MIB), ..PoolBounds::default() };
        assert!(!Served::default().end_session(&bounds, || 10 * MIB));
        assert!(Served::default().end_session(&bounds, || 10 * MIB + 1));
    }
}
