//! Every environment variable that the orchestrator reads, and the search for an interpreter.
//! No other module of this crate looks at the environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{ConfigError, Origin};
use crate::choice::{self, UnknownWord};
use crate::placement::Engine;

/// Names the configuration file when none is named explicitly.
pub const CONFIG_VARIABLE: &str = "REMOTEMEDIA_CONFIG";
/// Chooses the interpreter of Python nodes without a runtime hint of their own.
pub const PYTHON_RUNTIME_VARIABLE: &str = "REMOTEMEDIA_PYTHON_RUNTIME";
/// Decides whether nodes that RustPython cannot run move to CPython.
pub const FALLBACK_VARIABLE: &str = "REMOTEMEDIA_ENABLE_FALLBACK";
/// Names the program of RustPython workers.
pub const RUSTPYTHON_VARIABLE: &str = "REMOTEMEDIA_RUSTPYTHON";
/// File name of the program of RustPython workers.
pub const RUSTPYTHON_PROGRAM: &str = "remotemedia-rustpython";

/// The file that `REMOTEMEDIA_CONFIG` names; an empty value counts as unset.
#[must_use]
pub fn config_file() -> Option<PathBuf> {
    env::var_os(CONFIG_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The interpreter that `REMOTEMEDIA_PYTHON_RUNTIME` asks for, `Some(None)` for `auto`; `None` when
/// it is unset or empty.
///
/// # Errors
/// [`ConfigError`] with the known values for a value that is none of them.
pub fn python_runtime() -> Result<Option<Option<Engine>>, ConfigError> {
    word(PYTHON_RUNTIME_VARIABLE, choice::parse_runtime)
}

/// Whether `REMOTEMEDIA_ENABLE_FALLBACK` lets nodes move to CPython; `None` when it is unset or empty.
///
/// # Errors
/// [`ConfigError`] with the known values for a value that is none of them.
pub fn fallback() -> Result<Option<bool>, ConfigError> {
    word(FALLBACK_VARIABLE, choice::parse_flag)
}

fn word<T>(
    variable: &'static str,
    parse: fn(&str) -> Result<T, UnknownWord>,
) -> Result<Option<T>, ConfigError> {
    let Some(value) = env::var_os(variable).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let parsed = parse(&value.to_string_lossy());
    parsed.map(Some).map_err(|word| ConfigError::unknown_word(Origin::Environment, variable, word))
}

/// The whole environment of this process, for workers to inherit.
#[must_use]
pub fn inherited() -> Vec<(OsString, OsString)> {
    env::vars_os().collect()
}

/// The working directory of this process; `None` when it is gone.
#[must_use]
pub fn working_directory() -> Option<PathBuf> {
    env::current_dir().ok()
}

/// The umask of this process. It is read from /proc, as umask(2) would change it for all threads
/// meanwhile.
#[must_use]
pub fn umask() -> Option<u32> {
    // The umask is in the second line, so one short read is enough.
    let mut beginning = [0; 128];
    let length = File::open("/proc/self/status").ok()?.read(&mut beginning).ok()?;
    umask_in(&String::from_utf8_lossy(&beginning[..length]))
}

pub(super) fn umask_in(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

/// The interpreter of the active virtual environment, else `python3` on PATH. Symlinks are not
/// resolved: the link's own location tells Python which environment it is in.
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

/// The program of RustPython workers: the one that `REMOTEMEDIA_RUSTPYTHON` names, else the first
/// `remotemedia-rustpython` beside the caller's interpreter (whose symlink is not resolved: it lies
/// in its virtual environment), beside the running program, in the active virtual environment, on
/// PATH.
///
/// # Errors
/// The places that were searched, when none of them has the program.
pub fn find_rustpython(interpreter: Option<&Path>) -> Result<PathBuf, Vec<PathBuf>> {
    let own = env::current_exe().ok();
    find_rustpython_in(&RustPythonPlaces {
        named: env::var_os(RUSTPYTHON_VARIABLE)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from),
        beside: [interpreter, own.as_deref()],
        virtual_env: env::var_os("VIRTUAL_ENV").filter(|value| !value.is_empty()),
        path: env::var_os("PATH"),
    })
}

/// Places where the RustPython program may be.
#[derive(Debug)]
pub(super) struct RustPythonPlaces<'a> {
    pub(super) named: Option<PathBuf>,
    pub(super) beside: [Option<&'a Path>; 2],
    pub(super) virtual_env: Option<OsString>,
    pub(super) path: Option<OsString>,
}

pub(super) fn find_rustpython_in(places: &RustPythonPlaces<'_>) -> Result<PathBuf, Vec<PathBuf>> {
    if let Some(named) = &places.named {
        // When the variable names a program, no other is searched for.
        return if is_executable(named) { Ok(named.clone()) } else { Err(vec![named.clone()]) };
    }
    let beside = places.beside.iter().flatten().filter_map(|program| program.parent());
    let mut folders: Vec<PathBuf> = beside.map(Path::to_owned).collect();
    folders.extend(places.virtual_env.as_ref().map(|folder| Path::new(folder).join("bin")));
    folders.extend(places.path.iter().flat_map(env::split_paths));
    folders.retain(|folder| folder.is_absolute());
    let tried: Vec<PathBuf> =
        folders.into_iter().map(|folder| folder.join(RUSTPYTHON_PROGRAM)).collect();
    match tried.iter().find(|program| is_executable(program)) {
        Some(found) => Ok(found.clone()),
        None => Err(tried),
    }
}

/// A path of the configuration, with a leading `~/` replaced by the home folder as in a shell.
#[must_use]
pub fn at_home(text: &str) -> PathBuf {
    at_home_in(text, env::var_os("HOME").as_deref())
}

pub(super) fn at_home_in(text: &str, home: Option<&OsStr>) -> PathBuf {
    let home = home.map(Path::new).filter(|home| home.is_absolute());
    match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
