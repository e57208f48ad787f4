//! The verb `nodes`: the node types of this build and of the Python SDK.

use std::io::Write;

use nodes::NodeType;
use serde_json::{Value as Json, json};

use super::CliError;
use crate::catalog::{Catalog, PythonNode};

/// A node type: its native node, its Python class, or both.
struct Listed {
    native: Option<&'static NodeType>,
    python: Option<&'static PythonNode>,
}

/// Writes all node types, or only the one called `name`.
pub(super) fn nodes(name: Option<&str>, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let Some(name) = name else {
        let all = all();
        if json {
            let all: Vec<Json> = all.iter().map(Listed::to_json).collect();
            writeln!(out, "{:#}", Json::from(all))?;
        } else {
            for listed in &all {
                writeln!(out, "{:<24} {:<16} {}", listed.name(), listed.runs(), listed.summary())?;
            }
        }
        return Ok(());
    };
    let catalog = Catalog::builtin();
    let listed = Listed { native: catalog.native(name), python: catalog.python(name) };
    if listed.native.is_none() && listed.python.is_none() {
        let nearest = catalog.nearest(name);
        return Err(CliError::UnknownNode { name: name.to_owned(), nearest });
    }
    if json {
        writeln!(out, "{:#}", listed.to_json())?;
    } else {
        listed.describe(out)?;
    }
    Ok(())
}

/// Native types in alphabetical order, then types that only have a Python class.
fn all() -> Vec<Listed> {
    let catalog = Catalog::builtin();
    let natives = nodes::registry::builtin();
    let mut all: Vec<Listed> = natives
        .names()
        .into_iter()
        .map(|name| Listed { native: natives.get(name), python: catalog.python(name) })
        .collect();
    let only_python = catalog.python_nodes().iter().filter(|node| natives.get(node.name).is_none());
    all.extend(only_python.map(|node| Listed { native: None, python: Some(node) }));
    all
}

impl Listed {
    fn name(&self) -> &'static str {
        match (self.native, self.python) {
            (Some(native), _) => native.name,
            (None, Some(python)) => python.name,
            (None, None) => "",
        }
    }

    fn summary(&self) -> &'static str {
        match (self.native, self.python) {
            (Some(native), _) => native.summary,
            (None, Some(python)) => python.summary,
            (None, None) => "",
        }
    }

    fn runs(&self) -> &'static str {
        match (self.native, self.python) {
            (Some(_), Some(_)) => "native, Python",
            (Some(_), None) => "native",
            (None, _) => "Python",
        }
    }

    fn python_class(&self) -> Option<String> {
        self.python.map(|node| format!("{}:{}", node.module_path(), node.name))
    }

    fn to_json(&self) -> Json {
        let mut all = match self.native {
            Some(native) => native.metadata(),
            None => json!({"name": self.name(), "summary": self.summary()}),
        };
        if let Json::Object(fields) = &mut all {
            fields.insert("native".to_owned(), json!(self.native.is_some()));
            fields.insert("python_class".to_owned(), json!(self.python_class()));
        }
        all
    }

    fn describe(&self, out: &mut dyn Write) -> Result<(), CliError> {
        writeln!(out, "{}: {}", self.name(), self.summary())?;
        writeln!(out, "  runs: {}", self.runs())?;
        if let Some(class) = self.python_class() {
            writeln!(out, "  Python class: {class}")?;
        }
        let Some(native) = self.native else { return Ok(()) };
        writeln!(out, "  version: {}", native.version)?;
        if !native.aliases.is_empty() {
            writeln!(out, "  other names: {}", native.aliases.join(", "))?;
        }
        if native.params.is_empty() {
            writeln!(out, "  parameters: none")?;
            return Ok(());
        }
        writeln!(out, "  parameters:")?;
        let metadata = native.metadata();
        for spec in native.params {
            let about = &metadata["parameters"][spec.name];
            let mut facts = vec![spec.kind.name().to_owned()];
            for (key, value) in about.as_object().into_iter().flatten() {
                let told = !matches!(key.as_str(), "type" | "description" | "unit");
                if told && !value.is_null() {
                    facts.push(format!("{key} {value}"));
                }
            }
            if !spec.unit.is_empty() {
                facts.push(format!("in {}", spec.unit));
            }
            writeln!(out, "    {} ({})", spec.name, facts.join("; "))?;
            writeln!(out, "        {}", spec.doc)?;
        }
        Ok(())
    }
}
