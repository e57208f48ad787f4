//! Which pool a Python node's worker comes from.

use std::fmt;

use nodes::suggest;

use super::{PlanError, PlanOptions, PlanPool};
use crate::config::policies::matches;
use crate::model::{ManifestNode, RuntimeHint};
use crate::placement::{Engine, PoolId, PoolOrigin};

/// The pool with a name that a node gets, and who says so; `None`: that of its interpreter.
pub(super) fn named(
    node: &ManifestNode,
    options: &PlanOptions,
) -> Result<Option<(PoolId, PoolOrigin)>, PlanError> {
    if let Some((pool, pattern)) = by_pattern(node, &options.pools)? {
        return Ok(Some((pool, PoolOrigin::Pattern(pattern.to_owned()))));
    }
    let by_node = node.pool.as_deref().map(|name| (name, PoolOrigin::Node));
    let by_pipeline = options.pipeline_pool.as_deref().map(|name| (name, PoolOrigin::Pipeline));
    let Some((name, origin)) = by_node.or(by_pipeline) else { return Ok(None) };
    let known = |pool: &PlanPool| pool.name == name && !pool.is_removed;
    let Some(pool) = options.pools.iter().position(known) else {
        return Err(unknown(node, name, &options.pools));
    };
    let engine = options.pools[pool].engine;
    match (hinted(node), origin) {
        (Some(hint), PoolOrigin::Node) if hint != engine => Err(PlanError::HintAgainstPool {
            node_id: node.id.clone(),
            hint,
            pool: name.to_owned(),
            engine,
        }),
        // The node's own word is stronger than that of its pipeline.
        (Some(hint), PoolOrigin::Pipeline) if hint != engine => Ok(None),
        (_, origin) => Ok(Some((pool, origin))),
    }
}

/// The pool with the pattern that means the node and has most characters beside `*`.
fn by_pattern<'a>(
    node: &ManifestNode,
    pools: &'a [PlanPool],
) -> Result<Option<(PoolId, &'a str)>, PlanError> {
    let weight = |pattern: &str| pattern.chars().filter(|letter| *letter != '*').count();
    let mut best: Option<(PoolId, &str)> = None;
    let mut rival = None;
    for (number, pool) in pools.iter().enumerate().filter(|(_, pool)| !pool.is_removed) {
        for pattern in pool.patterns.iter().filter(|pattern| is_about(pattern, node)) {
            let known = best.map_or(0, |(_, known)| weight(known) + 1);
            if weight(pattern) + 1 > known {
                (best, rival) = (Some((number, pattern.as_str())), None);
            } else if weight(pattern) + 1 == known && best.is_some_and(|(at, _)| at != number) {
                rival = Some(number);
            }
        }
    }
    match (best, rival) {
        (Some((first, _)), Some(second)) => Err(PlanError::TwoPools {
            node_id: node.id.clone(),
            pools: [first, second].map(|at| pools[at].name.clone()),
        }),
        (best, _) => Ok(best),
    }
}

/// A pattern of a pool that means no node of a pipeline, and the most similar name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    /// Name of the pool.
    pub pool: String,
    /// The pattern.
    pub pattern: String,
    /// The most similar id, type or class.
    pub nearest: Option<String>,
}

impl fmt::Display for Unmatched {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "pool '{}': the pattern '{}' in `nodes` means no node",
            self.pool, self.pattern
        )?;
        match &self.nearest {
            Some(nearest) => write!(out, "; the most similar name is '{nearest}'"),
            None => Ok(()),
        }
    }
}

/// The patterns that mean no node of a pipeline.
#[must_use]
pub fn unmatched(pools: &[PlanPool], nodes: &[ManifestNode]) -> Vec<Unmatched> {
    let names = || nodes.iter().flat_map(names);
    let patterns = pools.iter().filter(|pool| !pool.is_removed).flat_map(|pool| {
        pool.patterns.iter().map(move |pattern| (pool.name.clone(), pattern.clone()))
    });
    let means_none =
        |(_, pattern): &(String, String)| !nodes.iter().any(|node| is_about(pattern, node));
    let found = patterns.filter(means_none).map(|(pool, pattern)| {
        let nearest = suggest::nearest(&pattern.replace('*', ""), names()).map(str::to_owned);
        Unmatched { pool, pattern, nearest }
    });
    found.collect()
}

/// What patterns may mean a node by: its id, its name (the id as the SDK makes it, without the number), its
/// type and its class.
fn names(node: &ManifestNode) -> impl Iterator<Item = &str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let name = node.id.rsplit_once('_').filter(|(_, number)| is_number(number));
    let class = node.node_type.rsplit_once(':');
    let all = [node.id.as_str(), &node.node_type].into_iter();
    all.chain(name.map(|(name, _)| name)).chain(class.map(|(_, class)| class))
}

fn is_about(pattern: &str, node: &ManifestNode) -> bool {
    names(node).any(|name| matches(pattern, name))
}

fn hinted(node: &ManifestNode) -> Option<Engine> {
    match node.runtime_hint {
        RuntimeHint::CPython => Some(Engine::CPython),
        RuntimeHint::RustPython => Some(Engine::RustPython),
        RuntimeHint::Native => Some(Engine::Native),
        RuntimeHint::Auto => None,
    }
}

fn unknown(node: &ManifestNode, name: &str, pools: &[PlanPool]) -> PlanError {
    let names = || pools.iter().filter(|pool| !pool.is_removed).map(|pool| pool.name.as_str());
    PlanError::UnknownPool {
        node_id: node.id.clone(),
        name: name.to_owned(),
        nearest: suggest::nearest(name, names()).map(str::to_owned),
        known: names().map(str::to_owned).collect(),
    }
}
