//! Warnings about patterns of pools that mean no node.

use std::sync::PoisonError;

use super::Runtime;
use crate::model::Manifest;
use crate::plan::{Unmatched, unmatched};

impl Runtime {
    /// The patterns that mean no node of this pipeline and of none before; each comes once.
    pub(crate) fn new_unmatched(&self, manifest: &Manifest) -> Vec<Unmatched> {
        let pools = self.settings().plan_pools();
        if pools.iter().all(|pool| pool.patterns.is_empty()) {
            return Vec::new();
        }
        let mut known = self.known_patterns.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = unmatched(&pools, &manifest.nodes);
        found.retain(|pattern| !known.contains(&(pattern.pool.clone(), pattern.pattern.clone())));
        let all = pools.iter().flat_map(|pool| {
            pool.patterns.iter().map(|pattern| (pool.name.clone(), pattern.clone()))
        });
        known.extend(all);
        found
    }
}
