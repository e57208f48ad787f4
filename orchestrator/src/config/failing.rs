//! The settings of what happens when nodes fail: tries, deadlines of items, breakers.

use super::keys::{DAY, Key, Kind, MILLISECOND, as_u32};
use crate::model::{OnOpen, RetryMode};

const SECTION: &str = "calls";

pub(super) fn keys() -> impl Iterator<Item = Key> {
    tries().into_iter().chain(ends()).chain(saves())
}

fn saves() -> [Key; 2] {
    [
        Key {
            section: SECTION,
            name: "checkpoint_every",
            kind: Kind::Count {
                range: 1..=1_000_000,
                get: |c| u64::from(c.calls.failing.checkpoint_every),
                set: |c, n| c.calls.failing.checkpoint_every = as_u32(n),
            },
            doc: "Items after which the state of nodes with `checkpoint` and `restore` is saved, for \
                  nodes without `checkpoint_every`. The items since then are kept, and are repeated in a \
                  fresh worker when theirs dies.",
        },
        Key {
            section: SECTION,
            name: "standby",
            kind: Kind::Count {
                range: 0..=1,
                get: |c| u64::from(c.calls.failing.standby),
                set: |c, n| c.calls.failing.standby = as_u32(n),
            },
            doc: "Number of further workers that stand by with the last checkpoint of such nodes, for \
                  nodes without `standby`. One that stands by takes over when the worker dies. It \
                  counts for `max`.",
        },
    ]
}

fn tries() -> [Key; 4] {
    [
        Key {
            section: SECTION,
            name: "retry",
            kind: Kind::Choice {
                names: &RetryMode::WORDS,
                get: |c| c.calls.failing.retry.word(),
                set: |c, word| c.calls.failing.retry = RetryMode::parse(word).unwrap_or_default(),
            },
            doc: "When a failed call is tried again, for nodes without `retry`. \"auto\": errors that \
                  may pass by themselves (ConnectionError, TimeoutError, InterruptedError, \
                  BlockingIOError, remotemedia.TransientError and types derived from them), in runs \
                  and not in open sessions. true: in sessions too; and after a deadline or the death \
                  of a worker, where all nodes of the worker are `stateless`. false: never.",
        },
        Key {
            section: SECTION,
            name: "retries",
            kind: Kind::Count {
                range: 0..=1000,
                get: |c| u64::from(c.calls.failing.tries.limit),
                set: |c, n| c.calls.failing.tries.limit = as_u32(n),
            },
            doc: "Most further tries of a call.",
        },
        Key {
            section: SECTION,
            name: "retry_delay",
            kind: Kind::Duration {
                range: MILLISECOND..=DAY,
                zero: Some("at once"),
                get: |c| c.calls.failing.tries.delay,
                set: |c, t| c.calls.failing.tries.delay = t,
            },
            doc: "Wait before the second try; it doubles with each further one.",
        },
        Key {
            section: SECTION,
            name: "retry_on",
            kind: Kind::List {
                get: |c| c.calls.failing.retry_on.clone(),
                set: |c, names| c.calls.failing.retry_on = names,
            },
            doc: "Further types of exceptions that may pass by themselves, by bare or qualified name, \
                  such as \"requests.exceptions.ConnectionError\". Added to the `retry_on` of nodes.",
        },
    ]
}

fn ends() -> [Key; 4] {
    [
        Key {
            section: SECTION,
            name: "deadline",
            kind: Kind::Duration {
                range: MILLISECOND..=365 * DAY,
                zero: Some("no limit"),
                get: |c| c.calls.failing.deadline.unwrap_or_default(),
                set: |c, t| c.calls.failing.deadline = (!t.is_zero()).then_some(t),
            },
            doc: "Longest time for an item in one node with all its tries, for nodes without \
                  `deadline_ms`. A node with a deadline is a stage of its own. 0 is no limit.",
        },
        Key {
            section: SECTION,
            name: "breaker",
            kind: Kind::Count {
                range: 0..=1_000_000,
                get: |c| u64::from(c.calls.failing.breaker),
                set: |c, n| c.calls.failing.breaker = as_u32(n),
            },
            doc: "Failed items in a row after which a node is skipped, for nodes without `breaker`. A \
                  node with a breaker is a stage of its own. 0: never.",
        },
        Key {
            section: SECTION,
            name: "breaker_pause",
            kind: Kind::Duration {
                range: MILLISECOND..=DAY,
                zero: None,
                get: |c| c.calls.failing.breaker_pause,
                set: |c, t| c.calls.failing.breaker_pause = t,
            },
            doc: "How long a node is skipped; then one item is tried. If it fails, the node is skipped \
                  for as long again.",
        },
        Key {
            section: SECTION,
            name: "on_open",
            kind: Kind::Choice {
                names: &OnOpen::WORDS,
                get: |c| c.calls.failing.on_open.word(),
                set: |c, word| {
                    c.calls.failing.on_open = OnOpen::parse(word).unwrap_or(OnOpen::Error);
                },
            },
            doc: "What happens to the items of a skipped node, for nodes without `on_open`: \"error\", \
                  one error with the first five causes; \"drop\", the node gives nothing for them; \
                  \"pass\", they are passed on as its outputs.",
        },
    ]
}
