//! The code of nodes: digests of it and of its surroundings, by which what RustPython made of it is
//! remembered.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::caller::Caller;
use super::surroundings::{Program, Surroundings};
use super::{NodeCode, OpenOptions, Runtime};
use crate::error::Error;
use crate::fallback::{Code, CodeKey};
use crate::plan::{NodeSource, PlannedNode, Runtime as Interpreted};

/// The code of nodes of one plan.
#[derive(Debug)]
pub(super) struct Codes<'a> {
    runtime: &'a Runtime,
    options: &'a OpenOptions,
    program: Option<(PathBuf, Program)>,
    /// Looked at for the first node that needs it; `Some(None)` when they cannot be told.
    surroundings: Option<Option<Surroundings>>,
}

impl<'a> Codes<'a> {
    pub(super) fn new(runtime: &'a Runtime, options: &'a OpenOptions) -> Self {
        let path = runtime.interpreter(Interpreted::RustPython, options).ok();
        let program = path.and_then(|path| runtime.program(&path).map(|found| (path, found)));
        Self { runtime, options, program, surroundings: None }
    }

    /// The code of a node, where it can be told. `is_new` asks for a key to earlier runs too.
    pub(super) fn of(
        &mut self,
        node: &PlannedNode,
        is_new: impl FnOnce(&CodeKey) -> bool,
    ) -> Option<Code> {
        let found = found(&node.source, self.options)?;
        let (path, program) = self.program.as_ref()?;
        let interpreter = program.identity.clone();
        let mut code = Code {
            key: CodeKey { digest: found.digest, interpreter },
            program: path.clone(),
            surroundings: None,
        };
        // Code that lies in no file may be another in the next run without our seeing it.
        if program.is_binary && !found.files.is_empty() && is_new(&code.key) {
            let params = serde_json::Value::Object(node.params.clone()).to_string();
            let state = format!("{params}\n{}", found.state);
            let around = self.surroundings();
            code.surroundings = around.and_then(|around| around.digest(&found.files, &state));
        }
        Some(code)
    }

    fn surroundings(&mut self) -> Option<&mut Surroundings> {
        if self.surroundings.is_none() {
            self.surroundings = Some(self.look_around().ok().flatten());
        }
        self.surroundings.as_mut()?.as_mut()
    }

    fn look_around(&self) -> Result<Option<Surroundings>, Error> {
        let Some((_, program)) = &self.program else { return Ok(None) };
        let python = &self.runtime.config.python;
        let caller = Caller::new(self.runtime, self.options);
        Ok(Surroundings::new(
            program,
            &caller.start().environment,
            &python.environment,
            &python.modules,
            &self.options.sys_path,
        ))
    }
}

/// That of the caller's object, else of its class by name with the file of its module as it is now.
pub(super) fn found(source: &NodeSource, options: &OpenOptions) -> Option<NodeCode> {
    match source {
        NodeSource::Native => None,
        NodeSource::Instance(index) => options.nodes.as_ref()?.code(*index),
        NodeSource::Import { module, name } => {
            let mut state = DefaultHasher::new();
            (module, name).hash(&mut state);
            let folders = options.sys_path.iter().map(Path::new);
            let file = folders.flat_map(|folder| candidates(folder, module));
            let file = file.filter(|path| path.is_file()).find_map(|path| {
                let text = std::fs::read(&path).ok()?;
                Some((path, text))
            });
            // Without a file, which a module of the interpreter itself has not, the name is all.
            file.as_ref().map(|(_, text)| text).hash(&mut state);
            Some(NodeCode {
                digest: format!("{module}:{name}:{:016x}", state.finish()),
                files: file.into_iter().map(|(path, _)| path).collect(),
                state: String::new(),
            })
        }
    }
}

/// Where a module may lie in a folder of the search path.
fn candidates(folder: &Path, module: &str) -> [PathBuf; 2] {
    let path = folder.join(module.replace('.', "/"));
    [path.join("__init__.py"), path.with_extension("py")]
}
