//! Kinds with texts: paths, lists and tables.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value as Json, json};
use toml::Value;

use super::{Kind, Wrong, out_of_range, quoted, wrong_type};
use crate::config::env;

/// A path; an empty text means `None`.
pub(in crate::config) struct AnyPath;

impl Kind for AnyPath {
    type Value = Option<PathBuf>;

    fn read(&self, value: &Value) -> Result<Option<PathBuf>, Wrong> {
        let text = text(value)?;
        Ok((!text.is_empty()).then(|| env::at_home(text)))
    }

    fn write(&self, value: &Option<PathBuf>) -> Value {
        Value::String(value.as_ref().map_or_else(String::new, |path| path.display().to_string()))
    }

    fn name(&self) -> &'static str {
        "path"
    }

    fn schema(&self) -> Json {
        json!({"type": "string"})
    }
}

/// A list of texts, or one text in which commas separate them.
pub(in crate::config) struct List {
    /// The texts that are allowed; `None`: any.
    pub(in crate::config) known: Option<&'static [&'static str]>,
}

impl Kind for List {
    type Value = Vec<String>;

    fn read(&self, value: &Value) -> Result<Vec<String>, Wrong> {
        const EXPECTED: &str = "a list of texts, such as [\"NAME\", \"OTHER\"]";
        let refused = |value: &Value| wrong_type(EXPECTED, value);
        let names: Vec<&str> = match value {
            Value::String(text) => text.split(',').map(str::trim).collect(),
            Value::Array(entries) => entries
                .iter()
                .map(|entry| entry.as_str().ok_or_else(|| refused(entry)))
                .collect::<Result<_, _>>()?,
            other => return Err(refused(other)),
        };
        let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        let unknown = |known: &[&str]| names.iter().find(|name| !known.contains(name));
        if let Some(unknown) = self.known.and_then(unknown) {
            return Err(out_of_range(format!("`{unknown}`"), self.range()));
        }
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn write(&self, value: &Vec<String>) -> Value {
        Value::Array(value.iter().cloned().map(Value::String).collect())
    }

    fn name(&self) -> &'static str {
        "list of texts"
    }

    fn range(&self) -> String {
        self.known.map_or_else(String::new, quoted)
    }

    fn schema(&self) -> Json {
        json!({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]})
    }
}

/// A list of texts.
pub(in crate::config) fn list() -> List {
    List { known: None }
}

/// A table whose values are texts.
pub(in crate::config) struct Texts;

impl Kind for Texts {
    type Value = BTreeMap<String, String>;

    fn read(&self, value: &Value) -> Result<Self::Value, Wrong> {
        const EXPECTED: &str = "a table of texts, such as { NAME = \"value\" }";
        let table = value.as_table().ok_or_else(|| wrong_type(EXPECTED, value))?;
        let mut texts = BTreeMap::new();
        for (name, value) in table {
            let text =
                value.as_str().ok_or_else(|| wrong_type(format!("a text for {name}"), value))?;
            if name.is_empty() || name.contains(['=', '\0']) || text.contains('\0') {
                let allowed = "names without `=`, texts without NUL characters";
                return Err(out_of_range(format!("`{name}`"), allowed));
            }
            texts.insert(name.clone(), text.to_owned());
        }
        Ok(texts)
    }

    fn write(&self, value: &Self::Value) -> Value {
        let entries = value.iter().map(|(name, text)| (name.clone(), text.clone().into()));
        Value::Table(entries.collect())
    }

    fn name(&self) -> &'static str {
        "table of texts"
    }

    fn schema(&self) -> Json {
        json!({"type": "object", "additionalProperties": {"type": "string"}})
    }
}

fn text(value: &Value) -> Result<&str, Wrong> {
    value.as_str().ok_or_else(|| wrong_type("a text in quotes", value))
}
