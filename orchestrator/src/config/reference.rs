//! Generates `docs/configuration.md`, `config/default.toml` and the JSON Schema for editors. The files are
//! checked in; a test fails when they are out of date.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::PoolConfig;
use super::declare::{Declared, Group, Key};
use super::{Config, OwnPoolConfig, SECTIONS, keys, policies, pools};

/// What stands before the table of keys in the reference.
const INTRODUCTION: &str = include_str!("reference.md");
/// What stands at the beginning of the template.
const TEMPLATE: &str = "\
# RemoteMedia: every setting with its unit, its effect and its default.
#
# No file is needed; this one changes nothing. Copy what you want to change into a file of your own:
# remotemedia.toml in the folder of the project, ~/.config/remotemedia/config.toml, or one that is named:
# Runtime(config) in Python, --config FILE on the command line, or the environment variable
# REMOTEMEDIA_CONFIG. docs/configuration.md lists all places, and which of them counts.
#
# Sizes have units (\"64 MiB\", \"1.5 GB\", \"512 B\"), durations too (\"250 ms\", \"30 s\", \"2 min\", \"1 h\").
# In paths ~/ is the home folder; a relative one is taken from the program's working directory.
# Unknown keys, wrong types and values out of range are errors.
";
/// What the reference says about pools with names.
const POOLS: &str = "\
A pool of workers beside those of `[workers]` and `[rustpython]`, for some nodes. It has the settings of \
the pool of its interpreter, except for those that it sets itself: keys of `[workers]`, `[python]` and \
`[limits]`, and `timeout` of `[calls]`. `interpreter` is the path of a Python, or \"rustpython\". A node runs \
there if a pattern in `nodes` means it, else if it asks for the pool (`Node(pool=\"NAME\")`, the field `pool` \
of a manifest), else if its pipeline does (`Pipeline(..., pool=\"NAME\")`). See \
[operators.md](operators.md) for when that helps.";
/// Columns of the template's comments.
const COLUMNS: usize = 100;

/// The text of `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (section, about) in SECTIONS {
        let _ = write!(text, "\n## [{section}]\n\n{about}\n\n");
        text.push_str("| key | type | default | range | change counts | effect |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        for Key { setting, .. } in keys().iter().filter(|key| key.section == section) {
            let _ = writeln!(
                text,
                "| `{}` | {} | `{}` | {} | {} | {} |",
                setting.name,
                setting.kind,
                (setting.get)(&Config::default()),
                setting.range,
                setting.effect,
                setting.doc
            );
        }
    }
    text.push_str(&own_keys());
    text
}

/// The keys that only pools with names have.
fn own_keys() -> String {
    let mut text = format!("\n## [{}.NAME]\n\n{POOLS}\n\n", pools::SECTION);
    text.push_str("| key | type | default | range | change counts | effect |\n");
    text.push_str("|---|---|---|---|---|---|\n");
    for key in OwnPoolConfig::declared() {
        let value = (key.get)(&OwnPoolConfig::default());
        let _ = writeln!(
            text,
            "| `{}` | {} | `{value}` | {} | {} | {} |",
            key.name, key.kind, key.range, key.effect, key.doc
        );
    }
    let inherited = |key: &&Declared<PoolConfig>| {
        !OwnPoolConfig::declared().iter().any(|own| own.name == key.name)
    };
    let names: Vec<String> =
        pools::keys().iter().filter(inherited).map(|key| format!("`{}`", key.name)).collect();
    let _ = writeln!(text, "\nInherited keys: {}.", names.join(", "));
    text
}

/// The text of `config/default.toml`.
#[must_use]
pub fn template() -> String {
    let mut text = TEMPLATE.to_owned();
    let comment = |text: &mut String, told: &str| {
        wrapped(told, COLUMNS).iter().for_each(|line| {
            let _ = writeln!(text, "# {line}");
        });
    };
    for (section, about) in SECTIONS {
        text.push('\n');
        comment(&mut text, about);
        let _ = writeln!(text, "[{section}]");
        for Key { setting, .. } in keys().iter().filter(|key| key.section == section) {
            let told = match setting.range.as_str() {
                "" | "true, false" => setting.doc.clone(),
                range => format!("{} Allowed: {range}.", setting.doc),
            };
            comment(&mut text, &told);
            let _ = writeln!(text, "{} = {}", setting.name, (setting.get)(&Config::default()));
        }
    }
    text
}

/// A text in lines of at most as many columns, as far as its words allow.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The JSON Schema of the TOML file, for the TOML support of editors.
#[must_use]
pub fn json_schema() -> String {
    let mut sections = Map::new();
    for (section, about) in SECTIONS {
        let keys = keys().iter().filter(|key| key.section == section);
        sections.insert(section.to_owned(), table(about, keys.map(property).collect()));
    }
    let mut of_nodes: Map<_, _> =
        keys().iter().filter(|key| policies::shared(key)).map(property).collect();
    of_nodes.insert("stateless".to_owned(), json!({"type": "boolean"}));
    sections.insert(
        policies::SECTION.to_owned(),
        json!({
            "type": "object",
            "description": "What is decided for nodes by their names.",
            "additionalProperties": table("What is decided for these nodes.", of_nodes),
        }),
    );
    let of_pools: Map<_, _> = pools::keys().iter().map(described).collect();
    sections.insert(
        pools::SECTION.to_owned(),
        json!({
            "type": "object",
            "description": "Pools of workers for some nodes.",
            "additionalProperties": table("The settings of a pool.", of_pools),
        }),
    );
    let mut schema = table("RemoteMedia configuration", sections);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    format!("{schema:#}\n")
}

fn table(about: &str, properties: Map<String, Value>) -> Value {
    json!({
        "type": "object",
        "description": about,
        "additionalProperties": false,
        "properties": properties,
    })
}

fn property(key: &Key) -> (String, Value) {
    let (name, mut schema) = described(&key.setting);
    schema["default"] = json!((key.setting.get)(&Config::default()));
    (name, schema)
}

/// A setting without its default.
fn described<C>(setting: &Declared<C>) -> (String, Value) {
    let mut schema = setting.schema.clone();
    schema["description"] = json!(setting.doc);
    (setting.name.to_owned(), schema)
}
