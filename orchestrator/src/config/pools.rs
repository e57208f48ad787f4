//! The keys that set the bounds of a pool, the same for both interpreters.

use std::time::Duration;

use super::keys::{DAY, Key, Kind, MILLISECOND, as_u64, as_usize};
use super::{Config, PoolBounds};

/// A section that sets the bounds of a pool. It is a type parameter because the `fn` pointers in
/// [`Kind`] cannot capture variables.
pub(super) trait Pooled {
    /// Name of the section.
    const SECTION: &'static str;
    /// Text of the reference about `min`.
    const MIN: &'static str;
    /// Text of the reference about `max`.
    const MAX: &'static str;
    /// The bounds of this pool in a configuration.
    fn of(config: &Config) -> &PoolBounds;
    /// The same bounds, mutable.
    fn of_mut(config: &mut Config) -> &mut PoolBounds;
}

/// The keys of one pool.
pub(super) struct PoolKeys {
    pub(super) min: Key,
    pub(super) max: Key,
    pub(super) idle_timeout: Key,
    pub(super) max_sessions: Key,
    pub(super) recycle_above_memory: Key,
    pub(super) recycle_above_growth: Key,
    pub(super) recycle_after_calls: Key,
}

pub(super) fn pool_keys<P: Pooled>() -> PoolKeys {
    let key = |name, doc, kind| Key { section: P::SECTION, name, kind, doc };
    PoolKeys {
        min: key(
            "min",
            P::MIN,
            Kind::Count {
                range: 0..=1024,
                get: |c| as_u64(P::of(c).min),
                set: |c, n| P::of_mut(c).min = as_usize(n),
            },
        ),
        max: key(
            "max",
            P::MAX,
            Kind::AutoCount {
                range: 1..=1024,
                get: |c| P::of(c).max.map(as_u64),
                set: |c, n| P::of_mut(c).max = n.map(as_usize),
            },
        ),
        idle_timeout: key(
            "idle_timeout",
            "An idle worker above `min` ends after this time. 0 keeps it for ever.",
            Kind::Duration {
                range: MILLISECOND..=365 * DAY,
                zero: Some("never"),
                get: |c| P::of(c).idle_timeout.unwrap_or_default(),
                set: |c, t: Duration| P::of_mut(c).idle_timeout = (!t.is_zero()).then_some(t),
            },
        ),
        max_sessions: key(
            "max_sessions",
            "A worker is replaced after this many sessions. 0 never replaces it for that.",
            Kind::Count {
                range: 0..=u64::from(u32::MAX),
                get: |c| P::of(c).max_sessions.unwrap_or(0),
                set: |c, n| P::of_mut(c).max_sessions = (n > 0).then_some(n),
            },
        ),
        recycle_above_memory: key(
            "recycle_above_memory",
            "A worker whose resident memory is above this after a session is replaced. 0 is off.",
            Kind::Size {
                range: 1 << 20..=1 << 50,
                zero: Some("off"),
                get: |c| P::of(c).recycle_above_memory_bytes.unwrap_or(0),
                set: |c, n| P::of_mut(c).recycle_above_memory_bytes = (n > 0).then_some(n),
            },
        ),
        recycle_above_growth: key(
            "recycle_above_growth",
            "A worker whose resident memory has grown by more than this since the end of its first \
             session is replaced after a session. 0 is off.",
            Kind::Size {
                range: 1 << 20..=1 << 50,
                zero: Some("off"),
                get: |c| P::of(c).recycle_above_growth_bytes.unwrap_or(0),
                set: |c, n| P::of_mut(c).recycle_above_growth_bytes = (n > 0).then_some(n),
            },
        ),
        recycle_after_calls: key(
            "recycle_after_calls",
            "A worker that has served this many calls is replaced after a session. 0 is off.",
            Kind::Count {
                range: 0..=u64::from(u32::MAX),
                get: |c| P::of(c).recycle_after_calls.unwrap_or(0),
                set: |c, n| P::of_mut(c).recycle_after_calls = (n > 0).then_some(n),
            },
        ),
    }
}
