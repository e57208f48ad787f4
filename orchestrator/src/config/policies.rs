//! `[nodes.NAME]`: what an operator decides for some nodes, whatever their authors have set.

use toml::Value;

use super::Config;
use super::error::{ConfigProblem, ConfigProblemKind};
use super::keys::{Key, keys};
use super::read::{apply, nearest, owned, wrong_type};
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

/// Reads `[nodes]`: a table of tables.
pub(super) fn read(value: &Value, problems: &mut Vec<ConfigProblem>) -> Vec<NodePolicy> {
    let mut problem = |at: String, kind| problems.push(ConfigProblem { at, kind });
    let Value::Table(entries) = value else {
        problem(format!("[{SECTION}]"), wrong_type("sections, written [nodes.NAME]", value));
        return Vec::new();
    };
    let keys = keys();
    let mut policies = Vec::new();
    for (pattern, value) in entries {
        let at = format!("[{SECTION}.{pattern}]");
        let Value::Table(entries) = value else {
            problem(at.clone(), wrong_type(format!("a section, written {at}"), value));
            continue;
        };
        let mut policy = NodePolicy::new(pattern);
        for (name, value) in entries {
            if let Err(kind) = policy.set(name, value, &keys) {
                problem(format!("{at} {name}"), kind);
            }
        }
        policies.push(policy);
    }
    policies
}

/// The keys of `[nodes.NAME]` that `[calls]` has too.
pub(super) fn shared(key: &Key) -> bool {
    key.section == "calls" && NAMES.contains(&key.name)
}

impl NodePolicy {
    fn new(pattern: &str) -> Self {
        let pattern = pattern.to_owned();
        Self { pattern, set: Vec::new(), values: Box::default(), is_stateless: false }
    }

    fn set(&mut self, name: &str, value: &Value, keys: &[Key]) -> Result<(), ConfigProblemKind> {
        let Some(name) = NAMES.into_iter().find(|known| *known == name) else {
            let (nearest, known) = (nearest(name, &NAMES), owned(&NAMES));
            return Err(ConfigProblemKind::UnknownKey { name: name.to_owned(), nearest, known });
        };
        self.set.push(name);
        if name == STATELESS {
            let flag = value.as_bool().ok_or_else(|| wrong_type("true or false", value))?;
            self.is_stateless = flag;
        }
        let key = keys.iter().find(|key| shared(key) && key.name == name);
        key.map_or(Ok(()), |key| apply(&key.kind, value, &mut self.values))
    }

    /// Whether it is about a node.
    fn is_about(&self, node: &ManifestNode) -> bool {
        matches(&self.pattern, &node.id) || matches(&self.pattern, &node.node_type)
    }

    fn decide(&self, node: &mut ManifestNode) {
        let calls = &self.values.calls;
        let (failing, values): (&mut Failing, _) = (&mut node.failing, &calls.failing);
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
fn matches(pattern: &str, text: &str) -> bool {
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
