//! The sources of settings, from the weakest to the strongest: the files of the system, the user and
//! the project, a file or text that is named, the environment, `--set`, arguments.

use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use toml::Value;

use super::document::{Document, place, unquoted};
use super::env;
use super::error::{ConfigError, ConfigProblemKind, ConfigWarning, Origin};
use super::merge::{Merged, SettingPlace, nearest};
use super::{Config, keys};

/// A configuration that its user has named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// TOML text.
    Text(String),
    /// The path of a TOML file.
    File(PathBuf),
}

/// What the caller says about settings; the environment and files at known places come with it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sources {
    /// In place of the file that `REMOTEMEDIA_CONFIG` names.
    pub named: Option<Named>,
    /// Settings of the command line, each written `section.key=value`.
    pub set: Vec<String>,
    /// Sections with keys; stronger than everything else.
    pub arguments: toml::Table,
}

/// Settings, and where they came from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What their author should know.
    pub warnings: Vec<ConfigWarning>,
    /// The files that were read, or that would be if they were there.
    pub files: Vec<PathBuf>,
    pub(super) set: std::collections::BTreeMap<String, SettingPlace>,
}

impl Sources {
    /// Arguments that were written in JSON: sections with keys.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn arguments_in(json: &str) -> Result<toml::Table, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Reads all sources.
    ///
    /// # Errors
    /// One [`ConfigError`] with every problem of every source.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let mut merged = Merged::default();
        let mut files = Vec::new();
        for (path, is_ours) in env::known_files() {
            files.push(path.clone());
            match (path.try_exists(), is_ours || belongs_here(&path)) {
                (Ok(false), _) => {}
                // In a folder that this user may not enter, such as that of the user who has started
                // a program that has changed its user since.
                (Err(cause), _) if cause.kind() == ErrorKind::PermissionDenied => {}
                (_, false) => merged.warnings.push(ConfigWarning::Foreign { path }),
                (_, true) => merged.add(read(&path, Origin::File(path.clone()))),
            }
        }
        match (&self.named, env::config_file()) {
            (Some(named), _) => {
                files.extend(named.path());
                merged.add(named.document());
            }
            (None, Some(path)) => {
                files.push(path.clone());
                merged.add(read(&path, Origin::EnvironmentFile(path.clone())));
            }
            (None, None) => {}
        }
        let from_environment = environment(env::settings(), &mut merged.warnings);
        merged.add(from_environment);
        merged.add(assignments(&self.set));
        merged.add(Document::of(self.arguments.clone(), Origin::Arguments));
        loaded(merged, files)
    }
}

impl Named {
    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Text(_) => None,
            Self::File(path) => Some(path.clone()),
        }
    }

    fn document(&self) -> Document {
        match self {
            Self::Text(text) => Document::parse(text, Origin::Text),
            Self::File(path) => read(path, Origin::File(path.clone())),
        }
    }
}

/// Reads one configuration without any other source.
pub(super) fn alone(named: &Named) -> Result<Loaded, ConfigError> {
    let mut merged = Merged::default();
    merged.add(named.document());
    loaded(merged, named.path().into_iter().collect())
}

fn loaded(merged: Merged, files: Vec<PathBuf>) -> Result<Loaded, ConfigError> {
    let Merged { config, set, warnings, .. } = merged.finish()?;
    Ok(Loaded { config, warnings, files, set })
}

/// Whether a file belongs to this user or to the system. Its settings name programs to run.
fn belongs_here(path: &Path) -> bool {
    let owner = path.metadata().map(|meta| meta.uid());
    owner.is_ok_and(|owner| owner == 0 || owner == nix::unistd::geteuid().as_raw())
}

/// Reads a file. One that cannot be read is a document with that problem.
fn read(path: &Path, origin: Origin) -> Document {
    let refused = |line, kind| {
        let mut document = Document::of(toml::Table::new(), origin.clone());
        document.problem(line, String::new(), kind);
        document
    };
    let bytes = match path.metadata().map(|meta| what_else(meta.file_type())) {
        Ok(Some(found)) => return refused(None, ConfigProblemKind::NotAFile { found }),
        Ok(None) => std::fs::read(path),
        Err(cause) => Err(cause),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(cause) => {
            return refused(None, ConfigProblemKind::Unreadable { cause: cause.to_string() });
        }
    };
    match String::from_utf8(bytes) {
        // Some editors mark UTF-8 with this character.
        Ok(text) => Document::parse(text.strip_prefix('\u{feff}').unwrap_or(&text), origin),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let bytes = error.into_bytes();
            let before = String::from_utf8_lossy(&bytes[..valid]);
            let (line, column) = place(&before, before.len());
            let byte = bytes.get(valid).copied().unwrap_or_default();
            refused(Some(line), ConfigProblemKind::NotUtf8 { column, byte })
        }
    }
}

/// What a path leads to, when that is no file. Reading a pipe might wait for ever.
fn what_else(kind: std::fs::FileType) -> Option<&'static str> {
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a folder"),
        () if kind.is_fifo() => Some("a pipe"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

/// The settings in environment variables.
fn environment(variables: Vec<(String, String)>, warnings: &mut Vec<ConfigWarning>) -> Document {
    let mut document = Document::of(toml::Table::new(), Origin::Environment);
    let known: Vec<String> = keys().iter().map(super::Key::variable).collect();
    for (name, text) in variables {
        let Some(at) = known.iter().position(|known| *known == name) else {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let nearest = nearest(&name, &known);
            warnings.push(ConfigWarning::UnknownVariable { name, nearest });
            continue;
        };
        let key = &keys()[at];
        let fits = |value: &Value| (key.setting.set)(&mut Config::default(), value).is_ok();
        insert(&mut document.table, &[key.section, key.setting.name], unquoted(&text, fits));
    }
    document
}

/// The settings in arguments `section.key=value`.
fn assignments(arguments: &[String]) -> Document {
    const FORM: ConfigProblemKind =
        ConfigProblemKind::Form { expected: "section.key=value, such as calls.timeout=5s" };
    let mut document = Document::of(toml::Table::new(), Origin::Set);
    for argument in arguments {
        let parts = argument.split_once('=').and_then(|(path, text)| Some((names(path)?, text)));
        let Some((path, text)) = parts.filter(|(path, _)| path.len() > 1) else {
            document.problem(None, argument.clone(), FORM);
            continue;
        };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let key = path.first().zip(path.get(1)).and_then(|(of, name)| super::key(of, name));
        let fits = |value: &Value| {
            key.is_none_or(|key| (key.setting.set)(&mut Config::default(), value).is_ok())
        };
        let value = unquoted(text.trim(), fits);
        if !insert(&mut document.table, &path, value) {
            document.problem(None, argument.clone(), FORM);
        }
    }
    document
}

/// The names in a path of TOML, such as `nodes."a.b".retry`.
fn names(path: &str) -> Option<Vec<String>> {
    let mut table: toml::Table = toml::from_str(&format!("{path} = 0")).ok()?;
    let mut names = Vec::new();
    loop {
        let (name, value) = table.into_iter().next()?;
        names.push(name);
        match value {
            Value::Table(inner) => table = inner,
            _ => return Some(names),
        }
    }
}

fn insert(table: &mut toml::Table, path: &[&str], value: Value) -> bool {
    match path {
        [] => false,
        [name] => {
            table.insert((*name).to_owned(), value);
            true
        }
        [name, rest @ ..] => {
            let inner = table.entry(*name).or_insert_with(|| Value::Table(toml::Table::new()));
            inner.as_table_mut().is_some_and(|inner| insert(inner, rest, value))
        }
    }
}
