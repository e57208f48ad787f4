//! Reads a manifest from text: the document as a whole. `node` reads single nodes, `check` checks
//! references between parts.

use ipc_protocol::Value;

use super::fields::{Fields, Problems, describe, shortened};
use super::problem::{ManifestError, Problem, ProblemKind};
use super::{Author, VERSION, check, json, node, optional};
use crate::model::{Connection, Manifest, Metadata};

const TOP_FIELDS: &[&str] = &["version", "metadata", "nodes", "connections", "pool", "python_env"];
const RENAMED_TOP_FIELDS: [(&str, &str); 2] = [
    ("edges", "\"connections\": [{\"from\": \"a\", \"to\": \"b\"}]"),
    ("config", "the options of the run where it is started; metrics are always recorded"),
];
const METADATA_FIELDS: &[&str] = &["name", "description", "created_at", "auto_negotiate"];
const CONNECTION_FIELDS: &[&str] = &["from", "to"];
const RENAMED_CONNECTION_FIELDS: [(&str, &str); 6] = [
    ("source", "\"from\""),
    ("target", "\"to\""),
    ("from_node", "\"from\""),
    ("to_node", "\"to\""),
    ("output_key", "no key: a node's whole output flows"),
    ("input_key", "no key: a node's whole output flows"),
];
const LONGEST_NAME: usize = 255;

/// Reads and checks a whole manifest.
pub(super) fn manifest(text: &str, author: Author) -> Result<Manifest, ManifestError> {
    let parsed = match json::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let kind =
                ProblemKind::Syntax { line: error.line, column: error.column, problem: error.kind };
            let problem = Problem { path: String::new(), node_id: None, kind };
            return Err(ManifestError { problems: vec![problem] });
        }
    };
    let mut problems: Problems = parsed
        .repeated
        .into_iter()
        .map(|path| Problem { path, node_id: None, kind: ProblemKind::RepeatedKey })
        .collect();
    let manifest = document(&parsed.value, author, &mut problems);
    match manifest {
        Some(manifest) if problems.is_empty() => Ok(manifest),
        _ => Err(ManifestError { problems }),
    }
}

fn document(value: &Value, author: Author, problems: &mut Problems) -> Option<Manifest> {
    let top = Fields::of(value, String::new(), "an object with version and nodes", problems)?;
    top.only(TOP_FIELDS, &RENAMED_TOP_FIELDS, problems);
    version(&top, problems);
    let metadata = top.object("metadata", problems);
    let metadata = metadata.map(|fields| read_metadata(&fields, problems)).unwrap_or_default();
    optional::python_env(&top, problems);

    let items = top.list("nodes", problems).unwrap_or_default();
    if items.is_empty() && !matches!(top.get("nodes"), Some(other) if !is_list(other)) {
        top.report("nodes", ProblemKind::NoNodes, problems);
    }
    let nodes: Vec<node::Draft> = items
        .iter()
        .enumerate()
        .map(|(index, item)| node::read(item, index, author, problems))
        .collect();
    let connections: Vec<(usize, Connection)> = top
        .list("connections", problems)
        .unwrap_or_default()
        .iter()
        .enumerate()
        .filter_map(|(index, item)| Some((index, connection(item, index, problems)?)))
        .collect();

    check::references(&nodes, &connections, problems);
    let nodes = nodes.into_iter().map(|draft| draft.node).collect::<Option<Vec<_>>>()?;
    let connections = connections.into_iter().map(|(_, connection)| connection).collect();
    let pool = top.text("pool", problems).map(str::to_owned);
    Some(Manifest { metadata, nodes, connections, pool })
}

fn is_list(value: &Value) -> bool {
    matches!(value, Value::List(_))
}

fn version(top: &Fields<'_>, problems: &mut Problems) {
    match top.get("version") {
        Some(Value::Str(version)) if version == VERSION => {}
        Some(Value::Str(other)) => {
            let found = format!("\"{}\"", shortened(other));
            top.report("version", ProblemKind::UnsupportedVersion { found }, problems);
        }
        Some(other) => {
            let found = describe(other);
            top.report("version", ProblemKind::UnsupportedVersion { found }, problems);
        }
        None => top.report("version", ProblemKind::Missing { expected: "\"v1\"" }, problems),
    }
}

fn read_metadata(fields: &Fields<'_>, problems: &mut Problems) -> Metadata {
    fields.only(METADATA_FIELDS, &[], problems);
    let name = fields.text("name", problems);
    if name.is_some_and(|name| name.is_empty() || name.chars().count() > LONGEST_NAME) {
        let found = shortened(name.unwrap_or_default());
        let rule = "a name has 1 to 255 characters";
        fields.report("name", ProblemKind::BadText { found, rule }, problems);
    }
    let created_at = fields.text("created_at", problems);
    if let Some(text) = created_at.filter(|text| !optional::is_timestamp(text)) {
        let rule = "a time is written in ISO 8601, such as 2026-01-31T12:00:00Z";
        let kind = ProblemKind::BadText { found: shortened(text), rule };
        fields.report("created_at", kind, problems);
    }
    if fields.flag("auto_negotiate", problems) == Some(true) {
        let kind = ProblemKind::Unsupported {
            what: "insert converters between nodes by itself",
            advice: "put ResampleNode or FormatConverterNode where they are needed and leave \
                     auto_negotiate out",
        };
        fields.report("auto_negotiate", kind, problems);
    }
    Metadata {
        name: name.map(str::to_owned),
        description: fields.text("description", problems).map(str::to_owned),
        created_at: created_at.map(str::to_owned),
    }
}

fn connection(value: &Value, index: usize, problems: &mut Problems) -> Option<Connection> {
    const EXPECTED: &str = "an object such as {\"from\": \"a\", \"to\": \"b\"}";
    let fields = Fields::of(value, format!("connections[{index}]"), EXPECTED, problems)?;
    fields.only(CONNECTION_FIELDS, &RENAMED_CONNECTION_FIELDS, problems);
    let mut end = |name: &str, old: [&str; 2]| {
        if fields.get(name).is_none() && old.iter().any(|old| fields.has(old)) {
            return None;
        }
        fields.required_text(name, "the id of a node", problems).map(str::to_owned)
    };
    let from = end("from", ["source", "from_node"]);
    let to = end("to", ["target", "to_node"]);
    Some(Connection { from: from?, to: to? })
}
