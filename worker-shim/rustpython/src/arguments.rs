//! Command-line arguments and environment variables of the program `remotemedia-rustpython`.

use std::env;

use crate::interpreter::Options;

const USAGE: &str = "usage: remotemedia-rustpython [script.py | -c code] [arguments]\n\
                     without arguments it is a worker, started by RemoteMedia only";

/// Environment variable with the flight recorder's descriptor; removed before node code runs.
const RECORDER: &str = "REMOTEMEDIA_BLACKBOX_FD";

/// Python options that have no effect here: this program writes no bytecode, has no `site` and no
/// verbose output. The orchestrator passes on its caller's options, as `multiprocessing` does.
const WITHOUT_EFFECT: [&str; 9] = ["-B", "-P", "-S", "-b", "-bb", "-d", "-q", "-s", "-v"];

/// The values of Python's own command-line options.
#[derive(Debug, Default)]
struct Flags {
    /// Number of `O` in `-O` or `-OO`.
    optimize: u8,
    /// Filters of the options `-W`.
    warnings: Vec<String>,
    /// Set by `-E` and `-I`.
    ignores_environment: bool,
    /// Value of `-X int_max_str_digits`.
    int_max_str_digits: Option<i64>,
}

impl Flags {
    /// Parses one word; false if it is not one of these options.
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

/// What the process is started for.
#[derive(Debug)]
pub(crate) enum Task {
    /// Serve an orchestrator as a worker.
    Worker(Options),
    /// Run a script.
    Script(Options, Script),
    /// Print the versions.
    Version,
}

/// Code to run as `__main__`.
#[derive(Debug)]
pub(crate) enum Script {
    /// Path of a file.
    File(String),
    /// Source code from the option `-c`.
    Code(String),
}

/// Parses the arguments of this process.
///
/// # Errors
/// A message for the user if an argument is unknown.
pub(crate) fn read() -> Result<Task, String> {
    let arguments = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let mut flags = Flags::default();
    let arguments: Vec<String> = arguments.skip_while(|word| flags.take(word)).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        // A CPython worker's arguments are accepted too.
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

/// Makes the interpreter's options. Reads the `PYTHON…` environment variables here, because
/// RustPython itself does not.
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

/// The versions of this program, of RustPython and of the Python language.
pub(crate) fn version() -> String {
    use rustpython_vm::version::{MAJOR_IMPL, MICRO_IMPL, MINOR_IMPL};
    let (own, python) = (env!("CARGO_PKG_VERSION"), python_version());
    let rustpython = format!("{MAJOR_IMPL}.{MINOR_IMPL}.{MICRO_IMPL}");
    format!("remotemedia-rustpython {own} (RustPython {rustpython}, Python {python})")
}

/// The version of the Python language, without suffixes such as "alpha".
pub(crate) fn python_version() -> String {
    use rustpython_vm::version::{MAJOR, MICRO, MINOR};
    format!("{MAJOR}.{MINOR}.{MICRO}")
}
