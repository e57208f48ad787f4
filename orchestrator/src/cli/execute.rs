//! Runs one pipeline for the command line; the only module of `cli` that opens a session.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipc_protocol::from_worker::LogRecord;

use super::input::Input;
use super::{CliError, output, signals};
use crate::error::Error;
use crate::model::Manifest;
use crate::options::OpenOptions;
use crate::runtime::Runtime;
use crate::session::{GraphOutput, Host, Session};

/// Everything that one run needs.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) manifest: Manifest,
    pub(super) runtime: Arc<Runtime>,
    pub(super) options: OpenOptions,
    pub(super) input: Input,
}

/// Runs a job and writes its outputs to standard output as they are made. The metrics of the run,
/// also of a failed one, go to the file `metrics`. It is opened first, so that a wrong path is an
/// error before the run and not after hours.
pub(super) fn execute(job: Job, metrics: Option<&Path>) -> Result<(), CliError> {
    let mut host = Terminal;
    let mut metrics = metrics.map(Metrics::open).transpose()?;
    let runtime = job.runtime;
    let refused = |source| Error::Os { action: "waiting for signals", source };
    let _watch = signals::Watch::start(&runtime).map_err(refused)?;
    let mut session = Session::open(&runtime, &job.manifest, job.options, &mut host)?;
    let done = feed(&mut session, job.input, &mut host);
    let closed = session.close(&mut host);
    let told = metrics.as_mut().map_or(Ok(()), |metrics| metrics.write(&session));
    Runtime::shut_down_for_exit(&[Arc::clone(&runtime)]);
    done?;
    told?;
    if closed.failures.is_empty() { Ok(()) } else { Err(CliError::Cleanup(closed.failures)) }
}

/// Feeds one input at a time, so that its outputs are written before the next input is read.
fn feed(session: &mut Session, input: Input, host: &mut Terminal) -> Result<(), CliError> {
    let Input::Items(items) = input else {
        session.begin_run(true).map_err(CliError::Run)?;
        return write_all(session, host);
    };
    for item in items {
        session.begin(Some(item?)).map_err(CliError::Run)?;
        write_all(session, host)?;
    }
    session.begin(None).map_err(CliError::Run)?;
    write_all(session, host)
}

/// Writes outputs when they are made, also those that come before a failure.
fn write_all(session: &mut Session, host: &mut Terminal) -> Result<(), CliError> {
    let mut is_last = false;
    while !is_last {
        let outputs;
        (outputs, is_last) = session.next_batch(None, host).map_err(CliError::Run)?;
        let mut out = io::BufWriter::new(io::stdout().lock());
        for GraphOutput { node_id, value } in &outputs {
            output::write_line(&mut out, node_id, value)?;
        }
        out.flush()?;
    }
    Ok(())
}

/// Destination of the metrics: a file or standard error.
struct Metrics {
    path: PathBuf,
    out: Box<dyn Write>,
}

impl Metrics {
    fn open(path: &Path) -> Result<Self, CliError> {
        let path = path.to_owned();
        if super::is_stdin(&path) {
            return Ok(Self { path, out: Box::new(io::stderr()) });
        }
        match File::create(&path) {
            Ok(file) => Ok(Self { path, out: Box::new(file) }),
            Err(source) => Err(CliError::WriteMetrics { path, source }),
        }
    }

    fn write(&mut self, session: &Session) -> Result<(), CliError> {
        let written = writeln!(self.out, "{:#}", session.metrics().to_json());
        written.map_err(|source| CliError::WriteMetrics { path: self.path.clone(), source })
    }
}

/// Writes text and log records of nodes to standard error.
#[derive(Debug)]
struct Terminal;

impl Host for Terminal {
    fn check_interrupt(&mut self) -> Result<(), Error> {
        // The thread of `signals` handles Ctrl-C.
        Ok(())
    }

    fn log(&mut self, record: &LogRecord) {
        let mut out = io::stderr().lock();
        let written = record.message.lines().try_for_each(|line| {
            let node = if record.node_id.is_empty() { "worker" } else { &record.node_id };
            if record.is_stream {
                writeln!(out, "[{node}] {line}")
            } else {
                writeln!(out, "[{node}] {} {}: {line}", level_name(record.level), record.logger)
            }
        });
        // Text that cannot be written to standard error is dropped.
        drop(written);
    }
}

fn level_name(level: u32) -> &'static str {
    match level {
        0..20 => "DEBUG",
        20..30 => "INFO",
        30..40 => "WARNING",
        40..50 => "ERROR",
        _ => "CRITICAL",
    }
}
