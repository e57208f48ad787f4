//! What a runtime remembers of code on RustPython: in this process, and from earlier runs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::SystemTime;

use super::surroundings::Program;
use super::{OpenOptions, Runtime, code};
use crate::error::Error;
use crate::fallback::store::{Decision, Lasting, Store, seconds};
use crate::fallback::{Code, Memory, Reason, Verdict};
use crate::manifest::Manifest;

impl Runtime {
    /// What is known of a code, and when an earlier run found it.
    pub(super) fn verdict(
        &self,
        moved: Option<&Reason>,
        code: Option<&Code>,
    ) -> (Verdict, Option<u64>) {
        if let Some(reason) = moved {
            return (Verdict::Moved(reason.clone()), None);
        }
        let Some(code) = code else { return (Verdict::Untried, None) };
        let known = self.memory().verdict(&code.key);
        let Some(around) = code.surroundings.as_ref().filter(|_| known == Verdict::Untried) else {
            return (known, None);
        };
        match self.store().find(&code.key.digest, around) {
            Some(decision) => (Verdict::Moved(decision.reason.into()), Some(decision.decided_at)),
            None => (known, None),
        }
    }

    /// Remembers that RustPython cannot run a code, also for later runs if it lasts.
    pub(crate) fn remember(&self, code: &Code, reason: &Reason) {
        self.memory().moved(&code.key, reason.clone());
        if let (Some(surroundings), Some(reason)) = (&code.surroundings, Lasting::of(reason)) {
            self.store().keep(Decision {
                code: code.key.digest.clone(),
                surroundings: surroundings.clone(),
                program: code.program.clone(),
                reason,
                decided_at: seconds(SystemTime::now()),
            });
        }
    }

    /// It was not RustPython that could not run a code.
    pub(crate) fn unlearn(&self, code: &Code) {
        self.memory().unlearn(&code.key);
        self.store().withdraw(&code.key.digest);
    }

    /// Forgets here what another process has had forgotten.
    pub(super) fn hear_of_forgotten(&self) {
        for name in self.store().news() {
            self.memory().forget(name.as_deref());
        }
    }

    /// What went wrong with the decisions of earlier runs, once.
    pub(crate) fn store_trouble(&self) -> Option<String> {
        self.store().take_trouble()
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn program(&self, path: &Path) -> Option<Program> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.entry(path.to_owned()).or_insert_with(|| Program::of(path)).clone()
    }

    /// Forgets what RustPython made of the code of nodes, in this run and in earlier ones, so that all
    /// is tried anew.
    pub fn forget_fallbacks(&self) {
        self.memory().forget(None);
        self.store().forget(None);
    }

    /// The same for the nodes of one manifest.
    ///
    /// # Errors
    /// As [`Runtime::plan`].
    pub fn forget_fallbacks_of(
        &self,
        manifest: &Manifest,
        options: &OpenOptions,
    ) -> Result<(), Error> {
        let plan = self.plan(manifest, options, &HashMap::new())?;
        for code in plan.nodes().filter_map(|(_, node)| code::found(&node.source, options)) {
            self.memory().forget(Some(&code.digest));
            self.store().forget(Some(&code.digest));
        }
        Ok(())
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
