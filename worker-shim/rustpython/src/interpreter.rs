//! Makes the one interpreter of the process, the same for workers and for scripts. It does not read
//! `site` or any Python installation of the machine.

use rustpython::InterpreterBuilderExt as _;
use rustpython_vm::builtins::PyListRef;
use rustpython_vm::{Interpreter, InterpreterBuilder, PyResult, Settings, VirtualMachine};

use crate::{embedded, native};

/// Settings of the interpreter, from arguments and environment variables.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// `sys.argv`.
    pub(crate) arguments: Vec<String>,
    /// The complete `sys.path`; the standard library is inside the program and needs no entry.
    pub(crate) path: Vec<String>,
    /// Number of `O` in `-O` or `-OO`.
    pub(crate) optimize: u8,
    /// Filters of the options `-W`.
    pub(crate) warnings: Vec<String>,
    /// Value of `-X int_max_str_digits`.
    pub(crate) int_max_str_digits: Option<i64>,
    /// Seed for hashes of strings; random if `None`.
    pub(crate) hash_seed: Option<u32>,
    /// Descriptor of a worker's flight recorder.
    pub(crate) recorder: Option<i32>,
}

/// Makes the interpreter.
pub(crate) fn build(options: &Options) -> Interpreter {
    let mut settings = Settings::default();
    settings.argv.clone_from(&options.arguments);
    settings.hash_seed = options.hash_seed;
    settings.optimize = options.optimize;
    settings.warnoptions.clone_from(&options.warnings);
    if let Some(digits) = options.int_max_str_digits {
        settings.int_max_str_digits = digits;
    }
    settings.install_signal_handlers = true;
    settings.import_site = false;
    settings.safe_path = true;
    settings.write_bytecode = false;
    settings.buffered_stdio = false;
    // The default would depend on the locale.
    settings.stdio_encoding = Some("utf-8".to_owned());
    settings.utf8_mode = 1;
    let builder = InterpreterBuilder::new().settings(settings);
    let modules = [
        embedded::module_def(&builder.ctx),
        native::audio::module_def(&builder.ctx),
        native::worker::module_def(&builder.ctx),
    ];
    builder.init_stdlib().add_native_modules(&modules).add_frozen_modules(embedded::START).build()
}

/// Prepares an interpreter for the user's code: runs `install` of `start.py`.
///
/// # Errors
/// Any exception of the embedded Python code; that is a bug in this program.
pub(crate) fn prepare(vm: &VirtualMachine, options: &Options) -> PyResult<()> {
    // RustPython can make objects of native classes only after their module was imported.
    vm.import("_remotemedia_native", 0)?;
    vm.new_scope_with_main()?;
    let start = vm.import("_remotemedia_start", 0)?;
    let path: Vec<_> =
        options.path.iter().map(|entry| vm.ctx.new_str(entry.as_str()).into()).collect();
    let path: PyListRef = vm.ctx.new_list(path);
    start.get_attr("install", vm)?.call((path,), vm)?;
    Ok(())
}
