//! `[nodes.NAME]`: what an operator decides for some nodes, whatever their authors have set.

use toml::Value;

use super::declare::Key;
use super::error::ConfigProblemKind;
use super::kinds::{Flag, Kind};
use super::merge::{nearest, owned};
use super::{Config, key};
use crate::model::{Failing, Manifest, ManifestNode};

/// The section's name.
pub(super) const SECTION: &str = "nodes";
/// The keys of `[calls]` that a node may have values of its own for.
const NAMES: [&str; 9] = [
    "timeout",
    "retry",
    "retry_on",
    "deadline",
    "breaker",
    "on_open",
    "checkpoint_every",
    "standby",
    STATELESS,
];
const STATELESS: &str = "stateless";

/// What the configuration says about nodes of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct NodePolicy {
    /// Id or type of the nodes, in which `*` stands for any text.
    pub pattern: String,
    /// The names of the keys that are set, and their values.
    set: Vec<&'static str>,
    values: Box<Config>,
    is_stateless: bool,
}

/// The keys of `[nodes.NAME]` that `[calls]` has too.
pub(super) fn shared(key: &Key) -> bool {
    key.section == "calls" && NAMES.contains(&key.setting.name)
}

/// Sees to it that the policy with this pattern is the last one.
pub(super) fn add(policies: &mut Vec<NodePolicy>, pattern: &str) {
    let known = policies.iter().position(|policy| policy.pattern == *pattern);
    let policy = known.map_or_else(|| NodePolicy::new(pattern), |at| policies.remove(at));
    policies.push(policy);
}

/// Sets a key of the last policy.
pub(super) fn set(
    policies: &mut [NodePolicy],
    name: &str,
    value: &Value,
) -> Result<(), ConfigProblemKind> {
    policies.last_mut().map_or(Ok(()), |policy| policy.set(name, value))
}

impl NodePolicy {
    fn new(pattern: &str) -> Self {
        let pattern = pattern.to_owned();
        Self { pattern, set: Vec::new(), values: Box::default(), is_stateless: false }
    }

    /// Sets a key of this policy.
    fn set(&mut self, name: &str, value: &Value) -> Result<(), ConfigProblemKind> {
        let Some(name) = NAMES.into_iter().find(|known| *known == name) else {
            let (nearest, known) = (nearest(name, &NAMES), owned(&NAMES));
            return Err(ConfigProblemKind::UnknownKey { name: name.to_owned(), nearest, known });
        };
        match key("calls", name) {
            Some(key) => (key.setting.set)(&mut self.values, value)?,
            None => self.is_stateless = Flag.read(value)?,
        }
        if !self.set.contains(&name) {
            self.set.push(name);
        }
        Ok(())
    }

    /// The keys that this policy sets, with their values as they are written.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&'static str, Value)> {
        self.set.iter().map(|name| {
            let value = key("calls", name).map(|key| (key.setting.get)(&self.values));
            (*name, value.unwrap_or(Value::Boolean(self.is_stateless)))
        })
    }

    /// Whether this policy applies to a node.
    fn is_about(&self, node: &ManifestNode) -> bool {
        matches(&self.pattern, &node.id) || matches(&self.pattern, &node.node_type)
    }

    fn decide(&self, node: &mut ManifestNode) {
        let calls = &self.values.calls;
        let (failing, values): (&mut Failing, _) = (&mut node.failing, calls.failing());
        for name in &self.set {
            match *name {
                "timeout" => node.timeout = calls.timeout,
                "retry" => failing.retry = Some(values.retry),
                "retry_on" => failing.retry_on.clone_from(&values.retry_on),
                "deadline" => failing.deadline = values.deadline,
                "breaker" => failing.breaker = Some(values.breaker),
                "on_open" => failing.on_open = Some(values.on_open),
                "checkpoint_every" => failing.checkpoint_every = Some(values.checkpoint_every),
                "standby" => failing.standby = Some(values.standby),
                _ => failing.is_stateless = self.is_stateless,
            }
        }
    }
}

/// The manifest with what the policies decide about its nodes; of several for one node the last counts.
pub(crate) fn decided(policies: &[NodePolicy], manifest: &Manifest) -> Manifest {
    let mut manifest = manifest.clone();
    for node in &mut manifest.nodes {
        let about: Vec<&NodePolicy> = policies.iter().filter(|it| it.is_about(node)).collect();
        about.into_iter().for_each(|policy| policy.decide(node));
    }
    manifest
}

/// Whether a text is like a pattern, in which `*` stands for any text.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, others)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let (between, last) = others.rsplit_once('*').unwrap_or(("", others));
    for part in between.split('*') {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [
            ("vad", "vad"),
            ("vad*", "vad"),
            ("vad*", "vad_0"),
            ("*:Gain", "my.nodes:Gain"),
            ("my.*:G*n", "my.nodes:Gain"),
            ("*", ""),
            ("a*b*c", "abc"),
            ("a*b*c", "a-b-b-c"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("vad", "vad_0"),
            ("vad*", "a_vad"),
            ("*:Gain", "my.nodes:Gains"),
            ("a*a", "a"),
            ("a*b*c", "acb"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
