//! The code of nodes: a digest of it, by which what RustPython made of it is remembered.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::plan::NodeSource;
use crate::runtime::OpenOptions;

/// The digest of a node's code: that of the caller's object, else of its class by name with the
/// file of its module as it is now.
pub(super) fn digest(source: &NodeSource, options: &OpenOptions) -> Option<String> {
    match source {
        NodeSource::Native => None,
        NodeSource::Instance(index) => options.nodes.as_ref()?.digest(*index),
        NodeSource::Import { module, name } => {
            let mut state = DefaultHasher::new();
            (module, name).hash(&mut state);
            let folders = options.sys_path.iter().map(Path::new);
            let file = folders.flat_map(|folder| candidates(folder, module));
            // Without a file, which a module of the interpreter itself has not, the name is all.
            file.map(std::fs::read).find_map(Result::ok).hash(&mut state);
            Some(format!("{module}:{name}:{:016x}", state.finish()))
        }
    }
}

/// Where a module may lie in a folder of the search path.
fn candidates(folder: &Path, module: &str) -> [PathBuf; 2] {
    let path = folder.join(module.replace('.', "/"));
    [path.join("__init__.py"), path.with_extension("py")]
}
