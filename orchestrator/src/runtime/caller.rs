//! What a session takes over from its caller's process. Settings that take effect only when a
//! process starts are part of the worker's kind; everything else is sent when the session opens.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use ipc_protocol::ByteBuf;
use ipc_protocol::to_worker::Surroundings;

use super::{Settings, interpreter};
use crate::config::{PoolConfig, PythonConfig, env, module_settings};
use crate::error::{Error, StartError};
use crate::options::OpenOptions;
use crate::placement::{Engine, PoolId};
use crate::worker::{Start, Wanted, WorkerKey, usable_directory};

#[cfg(test)]
mod tests;

type Variable = (OsString, OsString);

/// Variables that the interpreter, the C library and numeric libraries read only once, when the
/// process starts or the library is loaded: by full name, by prefix, by suffix.
const START_NAMES: [&str; 2] = ["LANG", "GLIBC_TUNABLES"];
const START_PREFIXES: [&str; 9] =
    ["PYTHON", "LD_", "LC_", "MALLOC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_"];
const START_SUFFIXES: [&str; 2] = ["_NUM_THREADS", "_MAX_THREADS"];

/// Variables that the orchestrator sets for one worker. From the caller's own environment, which
/// has them if the caller is a worker itself, they are not passed on.
const INTERNAL: [&str; 4] = [
    "REMOTEMEDIA_BLACKBOX_FD",
    "REMOTEMEDIA_GIVEN_VARIABLES",
    "REMOTEMEDIA_ALLOW_MODULES",
    "REMOTEMEDIA_INJECT_MODULES",
];

/// Names of the variables that set the number of threads of numeric libraries.
const THREADS: [&str; 3] = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"];

/// What the workers of one session take over from the caller's process.
#[derive(Debug)]
pub(crate) struct Caller {
    start: Arc<Start>,
    start_variables: Vec<Variable>,
    surroundings: Surroundings,
    place: u64,
}

impl Caller {
    /// Reads the caller's options and applies the changes that the configuration of a pool makes to them.
    pub(crate) fn new(settings: &Settings, pool: PoolId, options: &OpenOptions) -> Self {
        let PoolConfig { python, own, .. } = &**settings.pool(pool);
        let environment = environment(python, &options.environment);
        let counts = |(name, _): &&Variable| counts_at_start(python, name);
        let mut start_variables: Vec<Variable> =
            environment.iter().filter(counts).cloned().collect();
        start_variables.sort_unstable();
        let home = |folder: &String| env::at_home(folder).into_os_string();
        let added: Vec<OsString> = own.sys_path.iter().map(home).collect();
        let added = added.iter();
        let working_directory =
            own.working_directory.clone().or_else(|| options.working_directory.clone());
        let surroundings = Surroundings {
            environment: encoded(&environment).into(),
            sys_path: added.chain(options.sys_path.iter()).map(|entry| bytes(entry)).collect(),
            is_path_complete: false,
            argv: options.argv.iter().map(|argument| bytes(argument)).collect(),
            working_directory: working_directory.as_ref().map(|d| bytes(d.as_os_str())),
            umask: options.umask,
        };
        let mut environment = environment;
        environment.extend(module_settings(python, &settings.config.rustpython));
        let mut place = DefaultHasher::new();
        (&surroundings.sys_path, &surroundings.working_directory).hash(&mut place);
        Self {
            start: Arc::new(Start {
                environment,
                working_directory,
                processors: own.cpu_affinity.clone(),
                nice: own.nice,
            }),
            start_variables,
            surroundings,
            place: place.finish(),
        }
    }

    /// The part that is sent with each session.
    pub(crate) fn surroundings(&self, is_path_complete: bool) -> Surroundings {
        Surroundings { is_path_complete, ..self.surroundings.clone() }
    }

    /// The environment and directory for new workers.
    pub(crate) fn start(&self) -> &Start {
        &self.start
    }

    /// Digest of module search path and working directory.
    pub(crate) fn place(&self) -> u64 {
        self.place
    }
}

/// The workers of a pool that a session of this caller needs.
pub(crate) fn wanted(
    settings: &Settings,
    pool: PoolId,
    options: &OpenOptions,
    caller: &Caller,
    count: usize,
) -> Result<Wanted, Error> {
    let of = settings.pool(pool);
    check_directory(of)?;
    let interpreter = interpreter(of, options)?;
    let key = WorkerKey {
        pool,
        runtime: of.engine,
        options: interpreter_options(of.engine, &interpreter, options),
        interpreter,
        setting: of.interpreter_key(),
        start_variables: caller.start_variables.clone(),
        user: (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()),
        apart: None,
    };
    Ok(Wanted { key, start: Arc::clone(&caller.start), place: caller.place, count })
}

/// Checks that the nodes of a pool can run in the folder that its configuration names.
fn check_directory(pool: &PoolConfig) -> Result<(), StartError> {
    match &pool.own.working_directory {
        Some(path) if usable_directory(Some(path)).is_none() => Err(StartError::NoDirectory {
            pool: pool.name.clone(),
            path: path.clone(),
            is_there: path.exists(),
        }),
        _ => Ok(()),
    }
}

/// Whether a pool's workers can take over the caller's module search path as it is: it is complete, and
/// they run the caller's own interpreter.
pub(crate) fn shares_path(pool: &PoolConfig, options: &OpenOptions) -> bool {
    options.is_sys_path_complete
        && pool.engine == Engine::CPython
        && interpreter(pool, options).is_ok_and(|found| is_callers(&found, options))
}

fn is_callers(interpreter: &Path, options: &OpenOptions) -> bool {
    options.interpreter.as_deref() == Some(interpreter)
}

/// The options of the caller's interpreter, for a worker. Another CPython gets them without `-X`
/// options, which depend on version and build; RustPython ignores the options that it does not
/// have.
fn interpreter_options(
    runtime: Engine,
    interpreter: &Path,
    options: &OpenOptions,
) -> Vec<OsString> {
    let mut wanted = options.interpreter_options.clone();
    if runtime == Engine::CPython && !is_callers(interpreter, options) {
        wanted.retain(|option| !option.as_bytes().starts_with(b"-X"));
    }
    wanted
}

fn counts_at_start(python: &PythonConfig, name: &OsStr) -> bool {
    let text = name.as_bytes();
    START_NAMES.iter().any(|known| name == *known)
        || START_PREFIXES.iter().any(|prefix| text.starts_with(prefix.as_bytes()))
        || START_SUFFIXES.iter().any(|suffix| text.ends_with(suffix.as_bytes()))
        || python.start_variables.iter().any(|known| name == known.as_str())
}

/// The caller's environment with the changes of the configuration. Of several variables with one
/// name the first counts, as for getenv(3); a name that setenv(3) refuses is left out.
fn environment(python: &PythonConfig, callers: &[Variable]) -> Vec<Variable> {
    let mut known = HashSet::with_capacity(callers.len());
    let usable = |(name, _): &&Variable| {
        let text = name.as_bytes();
        !text.is_empty() && !text.contains(&b'=') && !INTERNAL.iter().any(|own| name == *own)
    };
    let first = |(name, _): &&Variable| {
        !python.environment.keys().any(|set| name == set.as_str()) && known.insert(name.clone())
    };
    let mut environment: Vec<Variable> =
        callers.iter().filter(usable).filter(first).cloned().collect();
    environment.extend(python.environment.iter().map(|(name, value)| (name.into(), value.into())));
    for name in THREADS {
        if !environment.iter().any(|(known, _)| known == name) {
            environment.push((name.into(), python.threads.to_string().into()));
        }
    }
    environment
}

/// The environment as in environ(7): `NAME=value` with a NUL behind each.
fn encoded(environment: &[Variable]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(environment.len() * 48);
    for (name, value) in environment {
        for part in [name.as_bytes(), b"=", value.as_bytes(), b"\0"] {
            encoded.extend_from_slice(part);
        }
    }
    encoded
}

fn bytes(text: &OsStr) -> ByteBuf {
    text.as_bytes().to_vec().into()
}

/// The entries of a search path that are UTF-8. A worker with a protocol before 5 gets only these.
pub(crate) fn texts(path: &[OsString]) -> Vec<String> {
    path.iter().filter_map(|entry| entry.to_str().map(str::to_owned)).collect()
}
