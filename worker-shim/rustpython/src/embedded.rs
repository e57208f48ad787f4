//! The package `remotemedia` inside this program: code compiled at build time, and its sources.

use std::collections::HashMap;
use std::sync::OnceLock;

use rustpython_vm::frozen::{FrozenLib, FrozenModule};
use rustpython_vm::py_freeze;

include!(concat!(env!("OUT_DIR"), "/sources.rs"));

/// Compiled modules of the package. Their names are relative to the package; its own is empty.
static PACKAGE: &FrozenLib = py_freeze!(dir = "../../../python/remotemedia");

/// `start.py`, the first Python code that runs.
pub(crate) static START: &FrozenLib =
    py_freeze!(file = "../python/start.py", module_name = "_remotemedia_start");

/// A module of the package: its code, and path and text of its source.
#[derive(Clone, Copy)]
struct Module {
    frozen: FrozenModule,
    path: &'static str,
    source: &'static str,
}

fn modules() -> &'static HashMap<String, Module> {
    static MODULES: OnceLock<HashMap<String, Module>> = OnceLock::new();
    MODULES.get_or_init(|| {
        let frozen: HashMap<&str, FrozenModule> = PACKAGE.decode().collect();
        let module = |&(path, source): &(&'static str, &'static str)| {
            let stem = path.strip_suffix(".py")?;
            let dotted = stem.strip_suffix("__init__").unwrap_or(stem).trim_end_matches('/');
            let dotted = dotted.replace('/', ".");
            let frozen = *frozen.get(dotted.as_str())?;
            let name = if dotted.is_empty() { dotted } else { format!(".{dotted}") };
            Some((format!("remotemedia{name}"), Module { frozen, path, source }))
        };
        SOURCES.iter().filter_map(module).collect()
    })
}

pub(crate) use native::module_def;

#[rustpython_vm::pymodule(name = "_remotemedia_embedded")]
mod native {
    use rustpython_vm::builtins::PyCode;
    use rustpython_vm::{PyRef, PyResult, VirtualMachine};

    use super::Module;

    fn module(name: &str, vm: &VirtualMachine) -> PyResult<Module> {
        let missing = || vm.new_key_error(vm.ctx.new_str(name).into());
        super::modules().get(name).copied().ok_or_else(missing)
    }

    /// For each module its name, the path of its source, and whether it is a package.
    #[pyfunction]
    fn modules(vm: &VirtualMachine) -> Vec<rustpython_vm::PyObjectRef> {
        let entry = |(name, module): (&String, &Module)| {
            let path = format!("remotemedia/{}", module.path);
            vm.new_tuple((name.as_str(), path, module.frozen.package)).into()
        };
        super::modules().iter().map(entry).collect()
    }

    #[pyfunction]
    fn code(name: String, vm: &VirtualMachine) -> PyResult<PyRef<PyCode>> {
        Ok(PyCode::new_ref_from_frozen(vm, module(&name, vm)?.frozen.code))
    }

    #[pyfunction]
    fn source(name: String, vm: &VirtualMachine) -> PyResult<&'static str> {
        Ok(module(&name, vm)?.source)
    }
}
