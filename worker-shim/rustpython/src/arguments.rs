//! What the process is asked to do: its arguments, and the environment variables that it looks at.

use std::env;

use crate::interpreter::Options;

const USAGE: &str = "usage: remotemedia-rustpython [script.py | -c code] [arguments]\n\
                     without arguments it is a worker, started by RemoteMedia only";

/// Holds the number of the flight recorder's descriptor; taken away before node code runs.
const RECORDER: &str = "REMOTEMEDIA_BLACKBOX_FD";

/// Flags of Python that say how this program runs anyway. Python gives them to the programs that it
/// starts of itself, as `multiprocessing` does.
const AS_EVER: [&str; 3] = ["-B", "-P", "-S"];

/// What to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Serve an orchestrator.
    Worker(Options),
    /// Run code.
    Script(Options, Script),
    /// Print versions.
    Version,
}

/// Code to run as `__main__`.
#[derive(Debug)]
pub(crate) enum Script {
    /// A file.
    File(String),
    /// The code itself.
    Code(String),
}

/// Reads the arguments.
///
/// # Errors
/// A text for the user when they are none that are known.
pub(crate) fn read() -> Result<Task, String> {
    let arguments = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let arguments: Vec<String> =
        arguments.skip_while(|word| AS_EVER.contains(&word.as_str())).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        // What a CPython worker is started with.
        [] | ["-m", "remotemedia._worker"] => Ok(Task::Worker(options(vec![String::new()]))),
        ["--version" | "-V"] => Ok(Task::Version),
        ["-c", code, ..] => {
            let mut options = options(arguments[1..].to_vec());
            "-c".clone_into(&mut options.arguments[0]);
            options.path.insert(0, String::new());
            Ok(Task::Script(options, Script::Code(code.to_owned())))
        }
        [file, ..] if !file.starts_with('-') => {
            let mut options = options(arguments.clone());
            let folder = std::path::Path::new(file).parent().unwrap_or(std::path::Path::new(""));
            let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
            options.path.insert(0, folder.display().to_string());
            Ok(Task::Script(options, Script::File(file.to_owned())))
        }
        [word, ..] => Err(format!("unknown argument {word}\n{USAGE}")),
    }
}

/// RustPython by itself reads none of Python's variables.
fn options(arguments: Vec<String>) -> Options {
    let path = env::var_os("PYTHONPATH").unwrap_or_default();
    let path = env::split_paths(&path).map(|entry| entry.display().to_string());
    let hash_seed = env::var("PYTHONHASHSEED").ok().and_then(|seed| seed.parse().ok());
    Options {
        arguments,
        path: path.filter(|entry| !entry.is_empty()).collect(),
        hash_seed,
        recorder: env::var(RECORDER).ok().and_then(|number| number.parse().ok()),
    }
}

/// The versions of program and interpreter.
pub(crate) fn version() -> String {
    use rustpython_vm::version::{MAJOR_IMPL, MICRO_IMPL, MINOR_IMPL};
    let (own, python) = (env!("CARGO_PKG_VERSION"), python_version());
    let rustpython = format!("{MAJOR_IMPL}.{MINOR_IMPL}.{MICRO_IMPL}");
    format!("remotemedia-rustpython {own} (RustPython {rustpython}, Python {python})")
}

/// The version of the language, without what is not released of it.
pub(crate) fn python_version() -> String {
    use rustpython_vm::version::{MAJOR, MICRO, MINOR};
    format!("{MAJOR}.{MINOR}.{MICRO}")
}
