//! The verb `config`: the settings in force, errors in configuration files, and what one key means.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Subcommand;

use super::{CliError, Setting};
use crate::config::{Config, show};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show all settings in force, as TOML
    Show {
        /// Show where each value comes from
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        setting: Setting,
    },
    /// List the names of all keys; those of pools with names begin with pools.
    Keys,
    /// Look for errors in configuration files, each alone
    Check {
        /// Files with a configuration
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Show what a key means, what it may be, what it is and why
    Explain {
        /// The key, such as calls.timeout or timeout
        key: String,
        #[command(flatten)]
        setting: Setting,
    },
}

/// Carries the verb out.
pub(super) fn config(verb: &Verb, out: &mut dyn Write) -> Result<(), CliError> {
    match verb {
        Verb::Show { origin, setting } => {
            write!(out, "{}", show::all(&setting.loaded()?, *origin))?;
        }
        Verb::Explain { key, setting } => {
            write!(out, "{}", show::explain(&setting.loaded()?, key)?)?;
        }
        Verb::Keys => show::names().iter().try_for_each(|name| writeln!(out, "{name}"))?,
        Verb::Check { files } => check(files, out)?,
    }
    Ok(())
}

/// Reports whether each file is valid. The first error decides the exit code.
fn check(files: &[PathBuf], out: &mut dyn Write) -> Result<(), CliError> {
    let mut wrong = None;
    for path in files {
        match Config::check(path) {
            Ok(warnings) => {
                warnings.iter().for_each(warn);
                writeln!(out, "{}: valid", path.display())?;
            }
            Err(error) => {
                if let Some(earlier) = wrong.replace(error) {
                    let _unwritable = writeln!(io::stderr().lock(), "error: {earlier}");
                }
            }
        }
    }
    wrong.map_or(Ok(()), |error| Err(CliError::Config(error)))
}

/// Writes a warning about settings.
pub(super) fn warn(warning: &crate::config::ConfigWarning) {
    let _unwritable = writeln!(io::stderr().lock(), "warning: {warning}");
}
