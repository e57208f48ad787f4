//! The command line `remotemedia`: its verbs, its exit codes and its errors. Standard output
//! carries results alone; what nodes print, metrics and errors go to standard error or to files.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::config::{ConfigError, Loaded, Named, Sources, env, show};
use crate::error::Error;
use crate::manifest::ManifestError;
use crate::model::Manifest;
use crate::options::OpenOptions;
use crate::runtime::Runtime;

mod execute;
mod input;
mod list;
mod marker;
mod output;
mod pools;
mod settings;
mod signals;
#[cfg(test)]
mod tests;

use input::{Input, InputError, RunInput};
use pools::PoolError;

/// Everything went well.
pub const EXIT_OK: i32 = 0;
/// A node raised an error, its worker died, or it did not answer in time.
pub const EXIT_RUN_FAILED: i32 = 1;
/// The arguments, the manifest, the configuration or the input cannot be used.
pub const EXIT_BAD_INPUT: i32 = 2;
/// A worker could not be started, or the operating system refused something.
pub const EXIT_ENVIRONMENT: i32 = 3;

const EXIT_CODES: &str = "\
Exit codes:
  0  everything went well
  1  the run failed: a node raised an error, crashed, or did not answer in time
  2  the arguments, the manifest, the configuration or the input cannot be used
  3  a worker could not be started, or the operating system refused something";

const RUN_HELP: &str = "\
Output is one line of JSON for each output of the pipeline:
  {\"node_id\": \"vad\", \"output\": ...}
Values that JSON does not have are written as
  arrays       {\"__numpy__\": true, \"dtype\": \"float32\", \"shape\": [2, 3], \"data\": [...]}, row by row
  audio        [array, sample_rate]
  bytes        {\"__bytes__\": \"<base64>\"}
  NaN, Inf     {\"__float__\": \"nan\"}, \"inf\" or \"-inf\"
  other keys   {\"__dict__\": [[key, value], ...]} where keys are not all texts
  objects      {\"__opaque__\": \"<type>\"}; the command line never opens pickles
Tuples and sets become lists; integers have all their digits. Input in JSON may use the same forms.";

/// Runs graphs of audio nodes over native code and isolated Python workers.
#[derive(Debug, Parser)]
#[command(name = "remotemedia", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a pipeline and write its outputs as JSON lines
    #[command(after_help = format!("{RUN_HELP}\n\n{EXIT_CODES}"))]
    Run(RunArguments),
    /// Check a manifest and report everything that is wrong with it
    #[command(after_help = EXIT_CODES)]
    Validate {
        /// File with a manifest, or - for standard input
        manifest: PathBuf,
    },
    /// Show where each node of a pipeline would run, and why
    #[command(after_help = EXIT_CODES)]
    Explain {
        /// File with a manifest, or - for standard input
        manifest: PathBuf,
        #[command(flatten)]
        setting: Setting,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Load the nodes of Python files with both interpreters, and show which work; part of the
    /// Python package
    #[command(disable_help_flag = true)]
    Compat {
        /// See `remotemedia compat --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Show, check and explain settings
    #[command(after_help = EXIT_CODES)]
    Config {
        #[command(subcommand)]
        verb: settings::Verb,
    },
    /// Check whether this machine can run pipelines, and what to do where it cannot; part of the
    /// Python package
    #[command(disable_help_flag = true)]
    Doctor {
        /// See `remotemedia doctor --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run an item again that has failed, in one process; part of the Python package
    #[command(disable_help_flag = true)]
    Replay {
        /// See `remotemedia replay --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Look at the worker pools of running programs, recycle and drain them
    #[command(after_help = EXIT_CODES)]
    Pool {
        #[command(subcommand)]
        verb: pools::Verb,
    },
    /// List the node types, or describe one
    #[command(after_help = EXIT_CODES)]
    Nodes {
        /// Node type to describe
        name: Option<String>,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// File with a manifest, or - for standard input
    manifest: PathBuf,
    #[command(flatten)]
    input: RunInput,
    /// Write the metrics of the run as JSON to FILE, or - for standard error
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    #[command(flatten)]
    setting: Setting,
}

/// Arguments that decide where nodes run.
#[derive(Debug, clap::Args)]
struct Setting {
    /// Configuration in TOML, in place of the file named by REMOTEMEDIA_CONFIG
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, such as calls.timeout=5s; stronger than files and the environment
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Python interpreter of the workers
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Interpreter of Python nodes without a runtime_hint: cpython, rustpython or auto; overrides
    /// REMOTEMEDIA_PYTHON_RUNTIME and the configuration
    #[arg(long, value_name = "NAME")]
    runtime: Option<String>,
    /// Fail where RustPython cannot run a node, instead of moving it to CPython
    #[arg(long)]
    no_fallback: bool,
}

impl Setting {
    /// The sources of settings that these arguments name.
    fn sources(&self) -> Sources {
        let mut arguments = toml::Table::new();
        if let Some(python) = &self.python {
            let interpreter = python.display().to_string().into();
            let section = toml::Table::from_iter([("interpreter".to_owned(), interpreter)]);
            arguments.insert("python".to_owned(), section.into());
        }
        let named = self.config.clone().map(Named::File);
        Sources { named, set: self.set.clone(), arguments }
    }

    fn loaded(&self) -> Result<Loaded, ConfigError> {
        self.sources().load()
    }

    /// A runtime with these settings, which it can read again.
    fn runtime(&self) -> Result<Arc<Runtime>, ConfigError> {
        let (runtime, warnings) = Runtime::load(self.sources())?;
        warnings.iter().for_each(settings::warn);
        Ok(runtime)
    }

    /// The options of a session, from these arguments and from this process.
    fn options(&self, default_python: Option<PathBuf>) -> OpenOptions {
        let working_directory = env::working_directory();
        OpenOptions {
            runtime: self.runtime.clone(),
            is_run: true,
            fallback: self.no_fallback.then_some(false),
            interpreter: default_python,
            environment: env::inherited(),
            sys_path: working_directory.iter().map(Into::into).collect(),
            argv: vec![OsString::new()],
            working_directory,
            umask: env::umask(),
            ..OpenOptions::default()
        }
    }
}

/// An error that ends the command line.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error("{}: {error}", path.display())]
    Manifest { path: PathBuf, error: ManifestError },
    #[error("cannot read the manifest {}: {source}", path.display())]
    ReadManifest { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Key(#[from] show::UnknownKey),
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Run(#[from] Error),
    #[error("cleaning up failed: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Cleanup(Vec<Error>),
    #[error(
        "unknown node type '{name}'{}",
        nearest.map_or_else(
            || "; `remotemedia nodes` lists the known ones".to_owned(),
            |nearest| format!("; did you mean '{nearest}'?"),
        )
    )]
    UnknownNode { name: String, nearest: Option<&'static str> },
    #[error(
        "`{verb}` runs Python code: install the Python package (`pip install ./python`) and use \
         its command `remotemedia`, or `python3 -m remotemedia {verb}`"
    )]
    NeedsPython { verb: &'static str },
    #[error("cannot write the metrics to {}: {source}", path.display())]
    WriteMetrics { path: PathBuf, source: io::Error },
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    fn exit_code(&self) -> i32 {
        match self {
            Self::Manifest { .. }
            | Self::ReadManifest { .. }
            | Self::Config(_)
            | Self::Key(_)
            | Self::Input(_)
            | Self::UnknownNode { .. }
            | Self::Pool(PoolError::Unknown { .. } | PoolError::Several(_))
            | Self::Run(
                Error::Manifest(_)
                | Error::Plan(_)
                | Error::Config(_)
                | Error::NoInput { .. }
                | Error::Input(_),
            ) => EXIT_BAD_INPUT,
            Self::Run(
                Error::Start(_) | Error::Busy { .. } | Error::Overloaded { .. } | Error::Os { .. },
            )
            | Self::WriteMetrics { .. }
            | Self::NeedsPython { .. }
            | Self::Pool(_)
            | Self::Output(_) => EXIT_ENVIRONMENT,
            Self::Run(_) | Self::Cleanup(_) => EXIT_RUN_FAILED,
        }
    }

    /// True when the reader of standard output has closed it (`| head`); that is not an error.
    fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Runs the command line and returns its exit code. `arguments` begin with the program's name.
/// `default_python` is the interpreter of workers when neither an argument nor the configuration
/// names one; `None` searches for one, see [`env::find_python`].
pub fn run(arguments: impl IntoIterator<Item = OsString>, default_python: Option<PathBuf>) -> i32 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // A help or error text that cannot be written is dropped.
            let _unwritable = error.print();
            return error.exit_code();
        }
    };
    let done = match arguments.verb {
        Verb::Run(arguments) => run_pipeline(&arguments, default_python),
        Verb::Validate { manifest } => validate(&manifest),
        Verb::Explain { manifest, setting, json } => {
            explain(&manifest, &setting, default_python, json)
        }
        Verb::Config { verb } => settings::config(&verb, &mut io::stdout().lock()),
        Verb::Pool { verb } => pools::pool(verb, &mut io::stdout().lock()),
        Verb::Compat { .. } => Err(CliError::NeedsPython { verb: "compat" }),
        Verb::Doctor { .. } => Err(CliError::NeedsPython { verb: "doctor" }),
        Verb::Replay { .. } => Err(CliError::NeedsPython { verb: "replay" }),
        Verb::Nodes { name, json } => list::nodes(name.as_deref(), json, &mut io::stdout().lock()),
    };
    match done {
        Ok(()) => EXIT_OK,
        Err(error) if error.is_closed_output() => EXIT_OK,
        Err(error) => {
            let _unwritable = writeln!(io::stderr().lock(), "error: {error}");
            error.exit_code()
        }
    }
}

fn run_pipeline(arguments: &RunArguments, default_python: Option<PathBuf>) -> Result<(), CliError> {
    let runtime = arguments.setting.runtime()?;
    if is_stdin(&arguments.manifest) && arguments.input.is_stdin() {
        return Err(InputError::StdinTwice.into());
    }
    let manifest = read_manifest(&arguments.manifest)?;
    let input = Input::open(&arguments.input)?;
    let options = arguments.setting.options(default_python);
    let job = execute::Job { manifest, runtime, options, input };
    execute::execute(job, arguments.metrics.as_deref())
}

fn explain(
    path: &Path,
    setting: &Setting,
    default_python: Option<PathBuf>,
    json: bool,
) -> Result<(), CliError> {
    let runtime = setting.runtime()?;
    let manifest = read_manifest(path)?;
    let explanation = runtime.explain(&manifest, &setting.options(default_python))?;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{:#}", explanation.to_json())?;
    } else {
        write!(out, "{explanation}")?;
    }
    Ok(())
}

fn validate(path: &Path) -> Result<(), CliError> {
    let manifest = read_manifest(path)?;
    let (nodes, edges) = (manifest.nodes.len(), manifest.connections.len());
    let mut out = io::stdout().lock();
    writeln!(out, "{}: valid, {nodes} nodes, {edges} connections", path.display())?;
    Ok(())
}

fn read_manifest(path: &Path) -> Result<Manifest, CliError> {
    let text = if is_stdin(path) {
        io::read_to_string(io::stdin().lock())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|source| CliError::ReadManifest { path: path.to_owned(), source })?;
    Manifest::parse(&text).map_err(|error| CliError::Manifest { path: path.to_owned(), error })
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}
