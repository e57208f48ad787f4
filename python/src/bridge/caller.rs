//! The calling process, as `remotemedia.core.caller` describes it.

use std::ffi::OsString;
use std::path::PathBuf;

use orchestrator::config::env;
use orchestrator::options::OpenOptions;
use pyo3::prelude::*;

/// The fields of `remotemedia.core.caller.Caller`.
#[derive(Debug, FromPyObject)]
pub(super) struct Caller {
    interpreter: PathBuf,
    options: Vec<OsString>,
    sys_path: Vec<OsString>,
    argv: Vec<OsString>,
    working_directory: Option<PathBuf>,
}

impl Caller {
    /// The options that a session takes over from its caller.
    pub(super) fn into_options(self) -> OpenOptions {
        OpenOptions {
            interpreter: Some(self.interpreter),
            interpreter_options: self.options,
            environment: env::inherited(),
            sys_path: self.sys_path,
            is_sys_path_complete: true,
            argv: self.argv,
            working_directory: self.working_directory,
            umask: env::umask(),
            ..OpenOptions::default()
        }
    }
}
