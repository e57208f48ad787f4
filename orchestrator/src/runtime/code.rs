//! Digests of node code, by which a runtime remembers what RustPython cannot run.

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use crate::options::OpenOptions;
use crate::placement::NodeSource;

/// The digest of a node's code: of the caller's object, or of a class given by name, whose module
/// file is read as it is on disk now. `None` for native nodes and objects whose code is unknown.
pub(super) fn digest(source: &NodeSource, options: &OpenOptions) -> Option<String> {
    match source {
        NodeSource::Native => None,
        NodeSource::Instance(index) => options.nodes.as_ref()?.code_digest(*index),
        NodeSource::Import { module, name } => {
            let mut state = DefaultHasher::new();
            // A module of the interpreter itself has no file: its name alone counts.
            module_text(module, &options.sys_path).hash(&mut state);
            Some(format!("{module}:{name}:{:016x}", state.finish()))
        }
    }
}

/// The bytes of the first file on the search path that may be the module.
fn module_text(module: &str, sys_path: &[OsString]) -> Option<Vec<u8>> {
    let relative = module.replace('.', "/");
    let places = sys_path.iter().map(|folder| Path::new(folder).join(&relative));
    let mut files =
        places.flat_map(|place| [place.join("__init__.py"), place.with_extension("py")]);
    files.find_map(|file| std::fs::read(file).ok())
}
