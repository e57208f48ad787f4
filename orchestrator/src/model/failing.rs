//! What is to happen when a node fails, as data.

use std::time::Duration;

/// When failed calls of a node are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Most tries after the first.
    pub limit: u32,
    /// Wait before the second try. It doubles with each further try.
    pub delay: Duration,
}

impl Retry {
    /// The wait after so many failed tries; `None` when that was the last try.
    #[must_use]
    pub fn delay_after(self, failures: u32) -> Option<Duration> {
        let doublings = failures.checked_sub(1)?;
        if failures > self.limit {
            return None;
        }
        Some(self.delay.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)))
    }
}

/// When calls of a node are skipped because it keeps failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Number of failed items in a row that open it.
    pub failures: u32,
    /// How long it stays open; then the next item is tried.
    pub pause: Duration,
    /// What happens to the items while it is open.
    pub on_open: OnOpen,
}

/// What happens to an item whose node is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOpen {
    /// It fails.
    Error,
    /// It is dropped: the node gives nothing for it.
    Drop,
    /// It is passed on as if the node had given it.
    Pass,
}

/// When failed calls are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryMode {
    /// Never.
    Never,
    /// In a run, errors that may pass: see [`TRANSIENT`].
    #[default]
    Auto,
    /// In sessions too; and deadlines and deaths of workers, where no node loses state by that.
    Always,
}

/// Types of exceptions that may pass by themselves, and with them the types derived from these.
pub const TRANSIENT: [&str; 5] = [
    "BlockingIOError",
    "ConnectionError",
    "InterruptedError",
    "TimeoutError",
    "remotemedia.core.exceptions.TransientError",
];

impl RetryMode {
    /// The words for it in configurations; manifests have true and false for the last two.
    pub const WORDS: [&'static str; 3] = ["auto", "true", "false"];

    /// The mode for a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "true" => Some(Self::Always),
            "false" => Some(Self::Never),
            _ => None,
        }
    }

    /// The word for the mode.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "true",
            Self::Never => "false",
        }
    }
}

impl OnOpen {
    /// The words for it in configurations and manifests.
    pub const WORDS: [&'static str; 3] = ["error", "drop", "pass"];

    /// What a word means.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "error" => Some(Self::Error),
            "drop" => Some(Self::Drop),
            "pass" => Some(Self::Pass),
            _ => None,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Drop => "drop",
            Self::Pass => "pass",
        }
    }
}

/// What one node says about its failures. What it leaves open the configuration decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failing {
    /// When failed calls are tried again.
    pub retry: Option<RetryMode>,
    /// Further types of exceptions that may pass, by qualified or bare name.
    pub retry_on: Vec<String>,
    /// Longest time for an item, with all its tries.
    pub deadline: Option<Duration>,
    /// Failed items in a row after which the node is skipped; 0: never.
    pub breaker: Option<u32>,
    /// What happens to the items of a skipped node.
    pub on_open: Option<OnOpen>,
    /// Whether the node keeps nothing from one item to the next.
    pub is_stateless: bool,
    /// Items after which a node that can save its state does so.
    pub checkpoint_every: Option<u32>,
    /// Number of further workers that stand by with its state.
    pub standby: Option<u32>,
}

/// What the configuration says about the failures of all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingDefaults {
    /// When failed calls are tried again.
    pub retry: RetryMode,
    /// How often, and after which wait.
    pub tries: Retry,
    /// Further types of exceptions that may pass, by qualified or bare name.
    pub retry_on: Vec<String>,
    /// Longest time for an item, with all its tries.
    pub deadline: Option<Duration>,
    /// Failed items in a row after which a node is skipped; 0: never.
    pub breaker: u32,
    /// How long a node is skipped.
    pub breaker_pause: Duration,
    /// What happens to the items of a skipped node.
    pub on_open: OnOpen,
    /// Items after which nodes that can save their state do so.
    pub checkpoint_every: u32,
    /// Number of further workers that stand by with the state of nodes that can save it.
    pub standby: u32,
}

impl Default for FailingDefaults {
    fn default() -> Self {
        Self {
            retry: RetryMode::Auto,
            // 100, 200 and 400 ms: spec NRA-08.
            tries: Retry { limit: 3, delay: Duration::from_millis(100) },
            retry_on: Vec::new(),
            deadline: None,
            breaker: 0,
            breaker_pause: Duration::from_secs(30),
            on_open: OnOpen::Error,
            checkpoint_every: 16,
            standby: 0,
        }
    }
}

/// What happens when a node of a plan fails.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailingPlan {
    /// When a call that failed with a transient error is tried again; `None`: never.
    pub retry: Option<Retry>,
    /// Whether deadlines and deaths of workers count as transient.
    pub outlives_worker: bool,
    /// Types of exceptions that are transient beside [`TRANSIENT`].
    pub retry_on: Vec<String>,
    /// Longest time for an item, with all its tries.
    pub deadline: Option<Duration>,
    /// When the node is skipped.
    pub breaker: Option<Breaker>,
    /// Whether the node keeps nothing from one item to the next.
    pub is_stateless: bool,
    /// Items after which the node saves its state, if it can.
    pub checkpoint_every: u32,
    /// Whether another worker stands by with its state.
    pub standby: bool,
}

impl FailingPlan {
    /// What applies to a node. `is_run`: in a run, not in a session that stays open.
    #[must_use]
    pub fn new(node: &Failing, defaults: &FailingDefaults, is_run: bool) -> Self {
        let mode = node.retry.unwrap_or(defaults.retry);
        let retries = match mode {
            RetryMode::Never => false,
            RetryMode::Auto => is_run,
            RetryMode::Always => true,
        };
        let failures = node.breaker.unwrap_or(defaults.breaker);
        let on_open = node.on_open.unwrap_or(defaults.on_open);
        let breaker = Breaker { failures, pause: defaults.breaker_pause, on_open };
        Self {
            retry: (retries && defaults.tries.limit > 0).then_some(defaults.tries),
            outlives_worker: mode == RetryMode::Always,
            retry_on: node.retry_on.iter().chain(&defaults.retry_on).cloned().collect(),
            deadline: node.deadline.or(defaults.deadline),
            breaker: (failures > 0).then_some(breaker),
            is_stateless: node.is_stateless,
            checkpoint_every: node.checkpoint_every.unwrap_or(defaults.checkpoint_every),
            standby: node.standby.unwrap_or(defaults.standby) > 0,
        }
    }

    /// Whether the node must be a stage of its own: only then can it be skipped, or its items timed.
    #[must_use]
    pub fn stands_alone(&self) -> bool {
        self.deadline.is_some() || self.breaker.is_some()
    }

    /// Whether an exception with a type of these names, its own or those of its bases, is transient.
    #[must_use]
    pub fn is_transient(&self, types: &[String]) -> bool {
        let is_named = |kind: &String, name: &str| {
            kind == name || kind.rsplit('.').next().is_some_and(|bare| bare == name)
        };
        types.iter().any(|kind| {
            TRANSIENT.contains(&kind.as_str())
                || self.retry_on.iter().any(|name| is_named(kind, name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(node: &Failing, is_run: bool) -> FailingPlan {
        FailingPlan::new(node, &FailingDefaults::default(), is_run)
    }

    #[test]
    fn errors_that_pass_are_tried_again_in_runs_and_where_it_is_asked_for() {
        // spec: NRA-08
        let tries = Retry { limit: 3, delay: Duration::from_millis(100) };
        let node = |retry| Failing { retry, ..Failing::default() };
        assert_eq!(plan(&node(None), true).retry, Some(tries));
        assert_eq!(plan(&node(None), false).retry, None);
        assert_eq!(plan(&node(Some(RetryMode::Never)), true).retry, None);
        let asked = plan(&node(Some(RetryMode::Always)), false);
        assert_eq!((asked.retry, asked.outlives_worker), (Some(tries), true));
    }

    #[test]
    fn what_is_transient_is_known_by_type() {
        // spec: NRA-09
        let named = Failing { retry_on: vec!["Flaky".into()], ..Failing::default() };
        let names = |types: &[&str]| types.iter().map(ToString::to_string).collect::<Vec<_>>();
        let reset = names(&["ConnectionResetError", "ConnectionError", "OSError", "Exception"]);
        assert!(plan(&Failing::default(), true).is_transient(&reset));
        let value = names(&["ValueError", "Exception"]);
        assert!(!plan(&Failing::default(), true).is_transient(&value));
        let own = names(&["acme.Flaky", "Exception"]);
        assert!(plan(&named, true).is_transient(&own));
        assert!(!plan(&Failing::default(), true).is_transient(&own));
        // A class of the same name elsewhere is no builtin.
        let other = names(&["acme.ConnectionError", "Exception"]);
        assert!(!plan(&Failing::default(), true).is_transient(&other));
    }

    #[test]
    fn a_breaker_is_asked_for() {
        // spec: NRA-10
        assert_eq!(plan(&Failing::default(), true).breaker, None);
        let node = Failing { breaker: Some(5), ..Failing::default() };
        let breaker = plan(&node, true).breaker.unwrap();
        assert_eq!((breaker.failures, breaker.on_open), (5, OnOpen::Error));
        assert!(plan(&node, true).stands_alone());
    }
}
