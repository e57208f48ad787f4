//! Reads one node of a manifest from JSON.

use std::time::Duration;

use ipc_protocol::Value;
use serde_json::Map;

use super::fields::{Fields, Problems, describe, shortened};
use super::problem::ProblemKind;
use super::{Author, limits, optional};
use crate::model::{Failing, Join, ManifestNode, OnOpen, RetryMode, RuntimeHint};

const FIELDS: &[&str] = &[
    "id",
    "node_type",
    "params",
    "config",
    "runtime_hint",
    "is_streaming",
    "is_source",
    "timeout_ms",
    "deadline_ms",
    "retry",
    "retry_on",
    "breaker",
    "on_open",
    "stateless",
    "checkpoint_every",
    "standby",
    "isolated",
    "replicas",
    "replicas_ordered",
    "pool",
    "limits",
    "join",
    "instance",
    "capabilities",
    "host",
    "execution",
    "is_output_node",
    "media_capabilities",
    "docker",
    "fast_path",
    "python_deps",
];
const RENAMED_FIELDS: [(&str, &str); 1] = [("type", "\"node_type\"")];
/// A year: longer than any call, and safe to add to any clock without an overflow.
const LONGEST_TIMEOUT_MS: u64 = 365 * 24 * 3600 * 1000;

/// A node as far as it could be read.
#[derive(Debug)]
pub(super) struct Draft {
    /// Id of the node, even when other fields are wrong; empty when it is missing.
    pub(super) id: String,
    /// Whether the node is marked as an output of the pipeline.
    pub(super) is_output_node: bool,
    /// The node; `None` when a required field is missing.
    pub(super) node: Option<ManifestNode>,
}

/// Reads one element of `nodes`.
pub(super) fn read(value: &Value, index: usize, author: Author, problems: &mut Problems) -> Draft {
    const EXPECTED: &str = "an object such as {\"id\": \"vad\", \"node_type\": \"VADNode\"}";
    let Some(mut fields) = Fields::of(value, format!("nodes[{index}]"), EXPECTED, problems) else {
        return Draft { id: String::new(), is_output_node: false, node: None };
    };
    let id = fields.required_text("id", "a text that no other node has", problems);
    if let Some(id) = id {
        fields.set_node(id);
        let regular = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if id.is_empty() || !id.bytes().all(regular) {
            let rule = "an id has letters, digits, '_' and '-', at least one";
            fields.report("id", ProblemKind::BadText { found: shortened(id), rule }, problems);
        }
    }
    fields.only(FIELDS, &RENAMED_FIELDS, problems);
    let is_output_node = optional::node_fields(&fields, problems);
    let node = node(&fields, id, author, problems);
    Draft { id: id.unwrap_or_default().to_owned(), is_output_node, node }
}

fn node(
    fields: &Fields<'_>,
    id: Option<&str>,
    author: Author,
    problems: &mut Problems,
) -> Option<ManifestNode> {
    let node_type = if fields.has("type") && !fields.has("node_type") {
        None
    } else {
        fields.required_text("node_type", "the name of a node type", problems)
    };
    // Older manifests call the parameters `config`.
    let params = fields.object("config", problems);
    let params = fields.object("params", problems).or(params);
    let params = params.map_or_else(Map::new, |params| params.to_json(problems));
    let capabilities = fields.object("capabilities", problems);
    let capabilities = capabilities.map(|object| object.to_json(problems));
    let rule = "a number of milliseconds from 1 to a year";
    let timeout = fields.integer("timeout_ms", 1..=LONGEST_TIMEOUT_MS, rule, problems);
    let join = match fields.choice("join", &["interleave", "zip"], problems) {
        Some("zip") => Join::Zip,
        _ => Join::Interleave,
    };
    let node = ManifestNode {
        id: id.unwrap_or_default().to_owned(),
        node_type: node_type.unwrap_or_default().to_owned(),
        params,
        runtime_hint: hint(fields, problems),
        is_streaming: fields.flag("is_streaming", problems).unwrap_or(false),
        is_source: fields.flag("is_source", problems).unwrap_or(false),
        timeout: timeout.map(Duration::from_millis),
        failing: failing(fields, join, problems),
        isolated: fields.flag("isolated", problems).unwrap_or(false),
        replicas: replicas(fields, problems),
        replicas_ordered: fields.flag("replicas_ordered", problems).unwrap_or(true),
        pool: fields.text("pool", problems).map(str::to_owned),
        limits: limits::read(fields, problems),
        join,
        instance: instance(fields, author, problems),
        capabilities,
    };
    (id.is_some() && node_type.is_some()).then_some(node)
}

/// What is to happen when the node fails.
fn failing(fields: &Fields<'_>, join: Join, problems: &mut Problems) -> Failing {
    let retry = match fields.get("retry") {
        Some(Value::Str(word)) if word == "auto" => Some(RetryMode::Auto),
        Some(Value::Str(_)) => {
            fields.choice("retry", &["auto"], problems);
            None
        }
        _ => fields.flag("retry", problems).map(|asked| match asked {
            true => RetryMode::Always,
            false => RetryMode::Never,
        }),
    };
    let rule = "a number of milliseconds from 1 to a year";
    let deadline = fields.integer("deadline_ms", 1..=LONGEST_TIMEOUT_MS, rule, problems);
    let rule = "a number of failures from 0 (never skipped) to 1000000";
    let breaker = fields.integer("breaker", 0..=1_000_000, rule, problems);
    let on_open = fields.choice("on_open", &OnOpen::WORDS, problems).and_then(OnOpen::parse);
    if (on_open, join) == (Some(OnOpen::Pass), Join::Zip) {
        let kind = ProblemKind::Unsupported {
            what: "pass several inputs on as one output (join is \"zip\")",
            advice: "use on_open = \"drop\" or \"error\"",
        };
        fields.report("on_open", kind, problems);
    }
    let rule = "a number of items from 1 to 1000000";
    let checkpoint_every = fields.integer("checkpoint_every", 1..=1_000_000, rule, problems);
    let standby = fields.integer("standby", 0..=1, "0 or 1", problems);
    Failing {
        retry,
        retry_on: names(fields, problems),
        deadline: deadline.map(Duration::from_millis),
        breaker: breaker.and_then(|failures| u32::try_from(failures).ok()),
        on_open,
        is_stateless: fields.flag("stateless", problems).unwrap_or(false),
        checkpoint_every: checkpoint_every.and_then(|items| u32::try_from(items).ok()),
        standby: standby.and_then(|count| u32::try_from(count).ok()),
    }
}

fn replicas(fields: &Fields<'_>, problems: &mut Problems) -> usize {
    let rule = "a number of workers from 1 to 1000";
    let count = fields.integer("replicas", 1..=1000, rule, problems);
    count.and_then(|count| usize::try_from(count).ok()).unwrap_or(1)
}

fn names(fields: &Fields<'_>, problems: &mut Problems) -> Vec<String> {
    let mut names = Vec::new();
    for (index, item) in fields.list("retry_on", problems).unwrap_or_default().iter().enumerate() {
        match item {
            Value::Str(name) => names.push(name.clone()),
            _ => {
                let expected = "the name of an exception's type";
                let kind = ProblemKind::WrongType { expected, found: describe(item) };
                fields.report(&format!("retry_on[{index}]"), kind, problems);
            }
        }
    }
    names
}

fn hint(fields: &Fields<'_>, problems: &mut Problems) -> RuntimeHint {
    let Some(text) = fields.text("runtime_hint", problems) else { return RuntimeHint::Auto };
    RuntimeHint::parse(text).unwrap_or_else(|| {
        let kind = ProblemKind::NotAChoice {
            found: shortened(text),
            nearest: RuntimeHint::nearest(text).map(str::to_owned),
            known: RuntimeHint::spellings().collect(),
        };
        fields.report("runtime_hint", kind, problems);
        RuntimeHint::Auto
    })
}

fn instance(fields: &Fields<'_>, author: Author, problems: &mut Problems) -> Option<u32> {
    let value = fields.get("instance")?;
    if author != Author::Sdk {
        let kind = ProblemKind::Unsupported {
            what: "resolve `instance`, which only the Python SDK may use",
            advice: "leave instance out and name the class as package.module:Class",
        };
        fields.report("instance", kind, problems);
        return None;
    }
    let index = match value {
        Value::Int(index) => u32::try_from(*index).ok(),
        _ => None,
    };
    if index.is_none() {
        let kind = ProblemKind::WrongType {
            expected: "the index of a node object",
            found: describe(value),
        };
        fields.report("instance", kind, problems);
    }
    index
}
