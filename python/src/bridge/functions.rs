//! The functions of `remotemedia_runtime`, and the command line.

use std::path::PathBuf;
use std::sync::OnceLock;

use orchestrator::catalog::Catalog;
use orchestrator::choice;
use orchestrator::config::{ConfigError, Origin, env};
use orchestrator::error::{Error, StartError};
use orchestrator::options::OpenOptions;
use orchestrator::{Manifest, manifest, value_json};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::caller::Caller;
use super::runtime::{default, open};
use crate::convert::{Converter, Lending, Pickling, from_value};
use crate::error::{node_not_found, to_pyerr};

/// Runs a pipeline whose first nodes are sources.
///
/// Returns `{"success": True, "result", "metrics", "error": None}`; `result` is what `Pipeline.run`
/// returns. Raises the errors of `Pipeline.run`, and `ManifestError` for an invalid manifest.
#[pyfunction]
pub(super) fn execute_pipeline<'py>(
    py: Python<'py>,
    manifest_json: &str,
) -> PyResult<Bound<'py, PyDict>> {
    execute(py, manifest_json, None)
}

/// Runs a pipeline on an input: each element of a list is an item, anything else is one item.
///
/// Returns and raises the same as `execute_pipeline`.
#[pyfunction]
pub(super) fn execute_pipeline_with_input<'py>(
    py: Python<'py>,
    manifest_json: &str,
    input_data: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    execute(py, manifest_json, Some(input_data))
}

fn execute<'py>(
    py: Python<'py>,
    manifest_json: &str,
    input: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let manifest = parse(py, manifest_json)?;
    let shapes = py.import(intern!(py, "remotemedia.core.outputs"))?;
    let items = input.map(|input| shapes.call_method1(intern!(py, "items_of"), (input,)));
    let runtime = default(py)?;
    let converter = Converter::new("input", Lending::Borrow, Pickling::Default);
    let options = OpenOptions { is_run: true, ..callers_options(py)? };
    let session = open(py, &runtime, &manifest, options, converter, None)?;
    let outcome = items.transpose().and_then(|items| session.run(py, items, None));
    let (_, failure) = super::outputs::close(&session, py)?;
    let pairs = outcome?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let sinks = PyDict::new(py);
    for sink in session.sinks() {
        sinks.set_item(&sink, &sink)?;
    }
    let result = PyDict::new(py);
    result.set_item("success", true)?;
    result.set_item("result", shapes.call_method1(intern!(py, "run_result"), (pairs, sinks))?)?;
    let metrics = py.import("json")?.call_method1("loads", (session.metrics(py),))?;
    result.set_item("metrics", metrics)?;
    result.set_item("error", py.None())?;
    Ok(result)
}

fn parse(py: Python<'_>, manifest_json: &str) -> PyResult<Manifest> {
    Manifest::parse(manifest_json).map_err(|error| to_pyerr(py, error.into()))
}

/// The options that a session takes over from the calling interpreter.
fn callers_options(py: Python<'_>) -> PyResult<OpenOptions> {
    let module = py.import(intern!(py, "remotemedia.core.caller"))?;
    let caller: Caller = module.call_method0("this_process")?.extract()?;
    Ok(caller.into_options())
}

/// Checks a manifest without running it.
///
/// Returns True, or raises `ManifestError` with every problem.
#[pyfunction]
pub(super) fn validate_manifest(py: Python<'_>, manifest_json: &str) -> PyResult<bool> {
    parse(py, manifest_json).map(|_| true)
}

/// Takes out of a manifest the fields and parameters that are not known. Returns the rest, and a text
/// about each.
///
/// Raises `ManifestError` for all other problems.
#[pyfunction]
pub(super) fn without_unknown(
    py: Python<'_>,
    manifest_json: &str,
) -> PyResult<(String, Vec<String>)> {
    let (text, left_out) =
        manifest::without_unknown(manifest_json).map_err(|error| to_pyerr(py, error.into()))?;
    Ok((text, left_out.iter().map(ToString::to_string).collect()))
}

/// Raises an error when `word` does not name an interpreter of Python nodes.
/// Whether REMOTEMEDIA_DEBUG has sessions log each crossing.
#[pyfunction]
pub(super) fn is_debugging(py: Python<'_>) -> PyResult<bool> {
    env::debug().map_err(|error| to_pyerr(py, error.into()))
}

#[pyfunction]
pub(super) fn check_runtime(py: Python<'_>, word: &str) -> PyResult<()> {
    let unknown = |word| ConfigError::unknown_word(Origin::Arguments, "runtime", word);
    let parsed = choice::parse_runtime(word).map_err(unknown);
    parsed.map(drop).map_err(|error| to_pyerr(py, error.into()))
}

/// The environment variables that set a key of the configuration each.
#[pyfunction]
pub(super) fn setting_variables() -> Vec<String> {
    orchestrator::config::variables()
}

/// Path of the program of RustPython workers that a run of this interpreter would find without any
/// configuration.
#[pyfunction]
pub(super) fn find_rustpython(py: Python<'_>, interpreter: PathBuf) -> PyResult<String> {
    let found = env::find_rustpython(Some(&interpreter));
    let found = found.map_err(|tried| Error::Start(StartError::NoRustPython { tried }));
    found.map(|path| path.display().to_string()).map_err(|error| to_pyerr(py, error))
}

/// Names of all node types, in alphabetical order.
#[pyfunction]
pub(super) fn get_available_nodes() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names = Catalog::builtin().known_names();
        names.sort_unstable();
        names
    })
}

/// Description of a node type: a dict with its summary, capabilities, and parameters with type,
/// default, range and unit.
///
/// Raises `NodeNotFoundError` with the nearest known name.
#[pyfunction]
pub(super) fn get_node_metadata<'py>(
    py: Python<'py>,
    node_type: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let catalog = Catalog::builtin();
    if let Some(native) = catalog.native(node_type) {
        return from_value(py, value_json::from_json(&native.metadata()));
    }
    let Some(python) = catalog.python(node_type) else {
        return Err(node_not_found(py, node_type, catalog.nearest(node_type)));
    };
    let describe = py.import(intern!(py, "remotemedia._describe"))?;
    describe.call_method1("describe", (python.name, python.module_path(), python.summary))
}

/// Runs the command line with the current interpreter for Python nodes. Returns the exit code.
#[pyfunction]
pub(super) fn cli(py: Python<'_>, argv: &Bound<'_, PyList>) -> PyResult<i32> {
    let arguments: Vec<std::ffi::OsString> = argv.extract()?;
    let python: PathBuf = py.import("sys")?.getattr("executable")?.extract()?;
    Ok(py.detach(|| orchestrator::cli::run(arguments, Some(python))))
}
