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
/// Names a file that is read in place of [`SYSTEM_FILE`].
pub const SYSTEM_VARIABLE: &str = "REMOTEMEDIA_SYSTEM_CONFIG";
/// The configuration of all users.
pub const SYSTEM_FILE: &str = "/etc/remotemedia/config.toml";
/// Name of the configuration of a project, in its folder.
pub const PROJECT_FILE: &str = "remotemedia.toml";
/// Chooses the interpreter of Python nodes without a runtime hint of their own.
pub const PYTHON_RUNTIME_VARIABLE: &str = "REMOTEMEDIA_PYTHON_RUNTIME";
/// Decides whether nodes that RustPython cannot run move to CPython.
pub const FALLBACK_VARIABLE: &str = "REMOTEMEDIA_ENABLE_FALLBACK";
/// Whether sessions log each crossing between processes.
pub const DEBUG_VARIABLE: &str = "REMOTEMEDIA_DEBUG";
/// Names the program of RustPython workers.
pub const RUSTPYTHON_VARIABLE: &str = "REMOTEMEDIA_RUSTPYTHON";
/// File name of the program of RustPython workers.
pub const RUSTPYTHON_PROGRAM: &str = "remotemedia-rustpython";

/// The file that `REMOTEMEDIA_CONFIG` names; an empty value counts as unset.
#[must_use]
pub fn config_file() -> Option<PathBuf> {
    env::var_os(CONFIG_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Files at known places, whether they are there or not, the weakest first: of the system, of the user, of
/// the project. Each with whether its place makes sure that no other user has put it there.
#[must_use]
pub fn known_files() -> Vec<(PathBuf, bool)> {
    let system =
        env::var_os(SYSTEM_VARIABLE).map_or_else(|| PathBuf::from(SYSTEM_FILE), PathBuf::from);
    let system = Some((system, true)).filter(|(path, _)| !path.as_os_str().is_empty());
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || Some(absolute("HOME")?.join(".config"));
    let folder = absolute("XDG_CONFIG_HOME").or_else(home);
    let user = folder.map(|folder| (folder.join("remotemedia").join("config.toml"), true));
    let project = working_directory().and_then(|folder| {
        let mut places = folder.ancestors().map(|folder| folder.join(PROJECT_FILE));
        places.find(|path| path.symlink_metadata().is_ok()).map(|path| (path, false))
    });
    system.into_iter().chain(user).chain(project).collect()
}

/// The variables that set a setting each, named `REMOTEMEDIA_SECTION_KEY`. Empty ones count as unset, as
/// does `REMOTEMEDIA_PYTHON_RUNTIME`, which each run reads by itself.
pub(super) fn settings() -> Vec<(String, String)> {
    let sections = super::SECTIONS.map(|(name, _)| format!("REMOTEMEDIA_{}_", name.to_uppercase()));
    let is_setting = |name: &str| sections.iter().any(|prefix| name.starts_with(prefix));
    let variables =
        env::vars_os().filter(|(_, value)| !value.is_empty()).filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| is_setting(name))?;
            Some((name, value.to_string_lossy().into_owned()))
        });
    let mut variables: Vec<_> =
        variables.filter(|(name, _)| name != PYTHON_RUNTIME_VARIABLE).collect();
    variables.sort();
    variables
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

/// Whether `REMOTEMEDIA_DEBUG` has sessions log each crossing between processes; false when it is unset or
/// empty.
///
/// # Errors
/// [`ConfigError`] with the known values for a value that is none of them.
pub fn debug() -> Result<bool, ConfigError> {
    word(DEBUG_VARIABLE, choice::parse_flag).map(Option::unwrap_or_default)
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
