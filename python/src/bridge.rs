//! The bridge from the SDK to the orchestrator: sessions driven from Python threads, the functions
//! of `remotemedia_runtime`, native nodes without a pipeline. It only converts values and errors.

mod audio_file;
mod caller;
mod crossing;
mod functions;
mod host;
mod item;
mod logged;
mod metrics;
mod native_node;
mod objects;
mod opener;
mod outputs;
mod runtime;
mod session;
mod shared;
mod short;
mod signals;
mod stream;
mod workflows;

use pyo3::prelude::*;

use crate::convert::KeptBuffers;
use crate::kept_call::KeptCall;

/// Adds the bridge's names to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<runtime::Runtime>()?;
    module.add_class::<session::Session>()?;
    module.add_class::<item::Item>()?;
    module.add_class::<KeptCall>()?;
    module.add_class::<metrics::Metrics>()?;
    module.add_class::<logged::Lines>()?;
    module.add_class::<logged::LoggedMethod>()?;
    module.add_class::<objects::Shipments>()?;
    module.add_class::<session::Breakers>()?;
    module.add_class::<session::CancelToken>()?;
    module.add_class::<native_node::NativeNode>()?;
    module.add_class::<KeptBuffers>()?;
    module.add_class::<audio_file::AudioReader>()?;
    module.add_class::<audio_file::AudioWriter>()?;
    module.add_function(wrap_pyfunction!(runtime::default_runtime, module)?)?;
    module.add_function(wrap_pyfunction!(functions::execute_pipeline, module)?)?;
    module.add_function(wrap_pyfunction!(functions::execute_pipeline_with_input, module)?)?;
    module.add_function(wrap_pyfunction!(functions::validate_manifest, module)?)?;
    module.add_function(wrap_pyfunction!(functions::without_unknown, module)?)?;
    module.add_function(wrap_pyfunction!(functions::get_available_nodes, module)?)?;
    module.add_function(wrap_pyfunction!(functions::get_node_metadata, module)?)?;
    module.add_function(wrap_pyfunction!(audio_file::read_audio, module)?)?;
    module.add_function(wrap_pyfunction!(shared::empty_shared, module)?)?;
    module.add_function(wrap_pyfunction!(shared::asarray_shared, module)?)?;
    module.add_function(wrap_pyfunction!(shared::own_memory, module)?)?;
    module.add_function(wrap_pyfunction!(runtime::all_runtimes, module)?)?;
    module.add_function(wrap_pyfunction!(functions::cli, module)?)?;
    module.add_function(wrap_pyfunction!(functions::check_runtime, module)?)?;
    module.add_function(wrap_pyfunction!(functions::is_debugging, module)?)?;
    module.add_function(wrap_pyfunction!(short::brief, module)?)?;
    module.add_function(wrap_pyfunction!(functions::find_rustpython, module)?)?;
    module.add_function(wrap_pyfunction!(functions::setting_variables, module)?)?;
    module.add_class::<workflows::WorkflowRunner>()?;
    module.add_function(wrap_pyfunction!(workflows::check_workflow, module)?)?;
    module.add_function(wrap_pyfunction!(workflows::check_database_url, module)?)?;
    module.add_function(wrap_pyfunction!(workflows::look_at_runs, module)?)?;
    runtime::shut_down_at_exit(module.py())
}
