//! Puts documents over one another, the last one on top, and checks what they say. All problems are
//! collected, and where each setting came from is kept.

use std::collections::BTreeMap;
use std::fmt;

use toml::Value;

use super::declare::Key;
use super::document::Document;
use super::error::{ConfigError, ConfigProblem, ConfigProblemKind, ConfigWarning, Origin};
use super::kinds::wrong_type;
use super::{Config, SECTIONS, keys, policies, pools};

/// Keys that had another name: section, old name, new name.
const RENAMED: [(&str, &str, &str); 1] = [("python", "executable", "interpreter")];

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SettingPlace {
    pub(super) origin: Origin,
    pub(super) line: Option<usize>,
    /// The key as it is written there.
    pub(super) written: String,
}

impl fmt::Display for SettingPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, self.line) {
            (Origin::File(path) | Origin::EnvironmentFile(path), Some(line)) => {
                write!(out, "{}:{line}", path.display())
            }
            (Origin::Environment, _) => out.write_str(&self.written),
            (origin, Some(line)) => write!(out, "{origin}, line {line}"),
            (origin, None) => write!(out, "{origin}"),
        }
    }
}

/// Settings of several documents.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) config: Config,
    /// Where the settings that are set came from, by the path of their keys.
    pub(super) set: BTreeMap<String, SettingPlace>,
    pub(super) warnings: Vec<ConfigWarning>,
    pub(super) problems: Vec<ConfigProblem>,
}

impl Merged {
    /// Puts a document on top.
    pub(super) fn add(&mut self, mut document: Document) {
        let table = std::mem::take(&mut document.table);
        for (section, value) in &table {
            match value {
                Value::Table(entries) if has_names(section) => {
                    self.add_named(section, entries, &mut document);
                }
                Value::Table(entries) if is_section(section) => {
                    self.add_section(section, entries, &mut document);
                }
                other => document.problem(
                    document.line(&[section]),
                    if is_section(section) { format!("[{section}]") } else { String::new() },
                    not_a_section(section, other),
                ),
            }
        }
        // The parser goes over names in alphabetical order.
        document.problems.sort_by_key(|problem| problem.line);
        self.problems.append(&mut document.problems);
    }

    fn add_section(&mut self, section: &str, entries: &toml::Table, document: &mut Document) {
        for (written, value) in entries {
            let line = document.line(&[section, written]);
            let renamed = RENAMED.iter().find(|(of, old, _)| *of == section && old == written);
            let name = renamed.map_or(written.as_str(), |(_, _, new)| *new);
            let Some(key) = super::key(section, name) else {
                document.problem(line, format!("[{section}]"), unknown_key(section, written));
                continue;
            };
            if let Err(kind) = (key.setting.set)(&mut self.config, value) {
                document.problem(line, format!("[{section}] {written}"), kind);
                continue;
            }
            let origin = document.origin.clone();
            let written = match origin {
                Origin::Environment => key.variable(),
                _ => key.path(),
            };
            let place = SettingPlace { origin, line, written };
            if let Some((section, old, new)) = renamed.copied() {
                let place = place.to_string();
                self.warnings.push(ConfigWarning::Renamed { place, section, old, new });
            }
            self.set.insert(key.path(), place);
        }
    }

    /// Adds `[nodes.NAME]` or `[pools.NAME]`.
    fn add_named(&mut self, section: &str, entries: &toml::Table, document: &mut Document) {
        let is_pool = section == pools::SECTION;
        for (name, value) in entries {
            let at = format!("[{section}.{name}]");
            let begun = match value {
                Value::Table(_) if is_pool => pools::add(&mut self.config.named_pools, name),
                Value::Table(_) => {
                    policies::add(&mut self.config.nodes, name);
                    Ok(())
                }
                _ => Err(wrong_type(format!("a section, written {at}"), value)),
            };
            if let Err(kind) = begun {
                document.problem(document.line(&[section, name]), at, kind);
                continue;
            }
            for (key, value) in value.as_table().into_iter().flatten() {
                let line = document.line(&[section, name, key]);
                let written = format!("{at} {key}");
                let set = match is_pool {
                    true => pools::set(&mut self.config.named_pools, name, key, value),
                    false => policies::set(&mut self.config.nodes, key, value),
                };
                match set {
                    Ok(()) => {
                        let origin = document.origin.clone();
                        let place = SettingPlace { origin, line, written: written.clone() };
                        self.set.insert(written, place);
                    }
                    Err(kind) => document.problem(line, written, kind),
                }
            }
        }
    }

    /// The settings, if nothing is wrong with them.
    pub(super) fn finish(mut self) -> Result<Self, ConfigError> {
        self.check_bounds();
        if self.problems.is_empty() {
            Ok(self)
        } else {
            Err(ConfigError { problems: self.problems })
        }
    }

    /// Checks what only holds for several keys together.
    fn check_bounds(&mut self) {
        for pool in self.config.pools(&[]) {
            let (min, max) = (pool.bounds.min, pool.bounds.max_workers());
            if min <= max {
                continue;
            }
            let at = pool.section();
            let place = |name| self.set.get(&format!("{at} {name}"));
            let place = place("min").or_else(|| place("max")).cloned();
            let is_inherited = place.is_none() && pool.name != pool.engine.name();
            // The pool that it inherits from has the problem too.
            if is_inherited {
                continue;
            }
            let (origin, line) =
                place.map_or((Origin::Text, None), |place| (place.origin, place.line));
            let kind = ConfigProblemKind::MinAboveMax { min, max };
            self.problems.push(ConfigProblem { origin, line, at, kind });
        }
    }
}

/// Whether a section has sections with names of their own.
fn has_names(section: &str) -> bool {
    [policies::SECTION, pools::SECTION].contains(&section)
}

fn is_section(name: &str) -> bool {
    has_names(name) || SECTIONS.iter().any(|(known, _)| *known == name)
}

fn not_a_section(name: &str, value: &Value) -> ConfigProblemKind {
    if has_names(name) {
        return wrong_type(format!("sections, written [{name}.NAME]"), value);
    }
    if is_section(name) {
        return wrong_type(format!("a section, written [{name}]"), value);
    }
    unknown_section(name)
}

/// The problem for an unknown name at the top level. If the name is that of a key, the suggestion
/// is this key in its section.
fn unknown_section(name: &str) -> ConfigProblemKind {
    let named = [policies::SECTION, pools::SECTION];
    let sections: Vec<&str> = SECTIONS.iter().map(|(known, _)| *known).chain(named).collect();
    let nearest = keys()
        .iter()
        .find(|key| key.setting.name == name)
        .map(Key::path)
        .or_else(|| nearest(name, &sections));
    ConfigProblemKind::UnknownSection { name: name.to_owned(), nearest, known: owned(&sections) }
}

/// The problem for an unknown name in a section: the nearest name there, or the section that has it.
fn unknown_key(section: &str, name: &str) -> ConfigProblemKind {
    let here = keys().iter().filter(|key| key.section == section);
    let known: Vec<&str> = here.map(|key| key.setting.name).collect();
    let elsewhere = keys().iter().find(|key| key.setting.name == name);
    let nearest = elsewhere.map(Key::path).or_else(|| nearest(name, &known));
    ConfigProblemKind::UnknownKey { name: name.to_owned(), nearest, known: owned(&known) }
}

pub(super) fn nearest(name: &str, known: &[&str]) -> Option<String> {
    nodes::suggest::nearest(name, known.iter().copied()).map(str::to_owned)
}

pub(super) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
