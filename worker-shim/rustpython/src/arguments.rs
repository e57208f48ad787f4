//! What the process is asked to do: its arguments, and the environment variables that it looks at.

use std::env;

use crate::interpreter::Options;

const USAGE: &str = "usage: remotemedia-rustpython [script.py | -c code] [arguments]\n\
                     without arguments it is a worker, started by RemoteMedia only";

/// Holds the number of the flight recorder's descriptor; taken away before node code runs.
const RECORDER: &str = "REMOTEMEDIA_BLACKBOX_FD";

/// Options of Python that change nothing here: this program writes no bytecode, has no `site`, and is
/// quiet. The orchestrator passes on what its caller was started with, as `multiprocessing` does.
const WITHOUT_EFFECT: [&str; 9] = ["-B", "-P", "-S", "-b", "-bb", "-d", "-q", "-s", "-v"];

/// What Python's own options say about the interpreter.
#[derive(Debug, Default)]
struct Flags {
    /// `-O`: how often.
    optimize: u8,
    /// `-W`.
    warnings: Vec<String>,
    /// `-E` and `-I`.
    ignores_environment: bool,
    /// `-X int_max_str_digits`.
    int_max_str_digits: Option<i64>,
}

impl Flags {
    /// Takes one option; false for what is none.
    fn take(&mut self, word: &str) -> bool {
        match word {
            "-O" | "-OO" => self.optimize = u8::try_from(word.len() - 1).unwrap_or(2),
            "-E" | "-I" => self.ignores_environment = true,
            word if WITHOUT_EFFECT.contains(&word) => {}
            word => match (word.strip_prefix("-W"), word.strip_prefix("-X")) {
                (Some(filter), _) if !filter.is_empty() => self.warnings.push(filter.to_owned()),
                (_, Some(option)) if !option.is_empty() => {
                    let digits = option.strip_prefix("int_max_str_digits=");
                    self.int_max_str_digits =
                        digits.and_then(|number| number.parse().ok()).or(self.int_max_str_digits);
                }
                _ => return false,
            },
        }
        true
    }
}

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
    let mut flags = Flags::default();
    let arguments: Vec<String> = arguments.skip_while(|word| flags.take(word)).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        // What a CPython worker is started with.
        [] | ["-m", "remotemedia._worker"] => Ok(Task::Worker(options(vec![String::new()], flags))),
        ["--version" | "-V"] => Ok(Task::Version),
        ["-c", code, ..] => {
            let mut options = options(arguments[1..].to_vec(), flags);
            "-c".clone_into(&mut options.arguments[0]);
            options.path.insert(0, String::new());
            Ok(Task::Script(options, Script::Code(code.to_owned())))
        }
        [file, ..] if !file.starts_with('-') => {
            let mut options = options(arguments.clone(), flags);
            let folder = std::path::Path::new(file).parent().unwrap_or(std::path::Path::new(""));
            let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
            options.path.insert(0, folder.display().to_string());
            Ok(Task::Script(options, Script::File(file.to_owned())))
        }
        [word, ..] => Err(format!("unknown argument {word}\n{USAGE}")),
    }
}

/// RustPython by itself reads none of Python's variables.
fn options(arguments: Vec<String>, flags: Flags) -> Options {
    let variable = |name| env::var_os(name).filter(|_| !flags.ignores_environment);
    let path = variable("PYTHONPATH").unwrap_or_default();
    let path = env::split_paths(&path).map(|entry| entry.display().to_string());
    let hash_seed = variable("PYTHONHASHSEED").and_then(|seed| seed.to_str()?.parse().ok());
    Options {
        arguments,
        optimize: flags.optimize,
        warnings: flags.warnings,
        int_max_str_digits: flags.int_max_str_digits,
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
