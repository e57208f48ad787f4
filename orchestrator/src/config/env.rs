//! Every environment variable that the orchestrator reads, and the search for an interpreter.
//! No other module of this crate looks at the environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::plan::Runtime;

/// Names the configuration file when none is named explicitly.
pub const CONFIG_VARIABLE: &str = "REMOTEMEDIA_CONFIG";
/// Chooses the interpreter of Python nodes without a runtime hint of their own.
pub const PYTHON_RUNTIME_VARIABLE: &str = "REMOTEMEDIA_PYTHON_RUNTIME";

/// Spellings of [`PYTHON_RUNTIME_VARIABLE`], in any case. Unlike in a manifest, `rust` means
/// RustPython here: the variable only ever spoke of Python interpreters.
const RUNTIME_SPELLINGS: [(&str, Option<Runtime>); 6] = [
    ("cpython", Some(Runtime::CPython)),
    ("python", Some(Runtime::CPython)),
    ("rustpython", Some(Runtime::RustPython)),
    ("rust_python", Some(Runtime::RustPython)),
    ("rust", Some(Runtime::RustPython)),
    ("auto", None),
];

/// An environment variable with a value that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown value `{value}`; known are {}", .known.join(", "))]
pub struct UnknownEnvironmentValue {
    /// The variable.
    pub variable: &'static str,
    /// Its value, lossily decoded.
    pub value: String,
    /// Values that it may have.
    pub known: Vec<&'static str>,
}

/// The file that `REMOTEMEDIA_CONFIG` names; an empty value is as good as none.
#[must_use]
pub fn config_file() -> Option<PathBuf> {
    env::var_os(CONFIG_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The interpreter that `REMOTEMEDIA_PYTHON_RUNTIME` asks for; `None` when it is unset, empty or
/// `auto`.
///
/// # Errors
/// [`UnknownEnvironmentValue`] for any other value.
pub fn python_runtime() -> Result<Option<Runtime>, UnknownEnvironmentValue> {
    match env::var_os(PYTHON_RUNTIME_VARIABLE) {
        Some(value) if !value.is_empty() => parse_python_runtime(&value),
        _ => Ok(None),
    }
}

pub(super) fn parse_python_runtime(
    value: &OsStr,
) -> Result<Option<Runtime>, UnknownEnvironmentValue> {
    let text = value.to_string_lossy();
    let wanted = text.trim();
    match RUNTIME_SPELLINGS.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)) {
        Some((_, runtime)) => Ok(*runtime),
        None => Err(UnknownEnvironmentValue {
            variable: PYTHON_RUNTIME_VARIABLE,
            value: wanted.to_owned(),
            known: RUNTIME_SPELLINGS.map(|(name, _)| name).to_vec(),
        }),
    }
}

/// The whole environment of this process, for workers to inherit.
#[must_use]
pub fn inherited() -> Vec<(OsString, OsString)> {
    env::vars_os().collect()
}

/// The working directory of this process; `None` when it is gone or is no text.
#[must_use]
pub fn working_directory() -> Option<String> {
    env::current_dir().ok()?.into_os_string().into_string().ok()
}

/// The interpreter of the active virtual environment, else `python3` on PATH. Links are not
/// resolved: an environment's interpreter is found by the link's own place.
#[must_use]
pub fn find_python() -> Option<PathBuf> {
    find_python_in(env::var_os("VIRTUAL_ENV").as_deref(), env::var_os("PATH").as_deref())
}

pub(super) fn find_python_in(virtual_env: Option<&OsStr>, path: Option<&OsStr>) -> Option<PathBuf> {
    let of_environment = virtual_env
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join("bin").join("python3"))
        .filter(|python| is_executable(python));
    of_environment.or_else(|| {
        env::split_paths(path?)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join("python3"))
            .find(|python| is_executable(python))
    })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
