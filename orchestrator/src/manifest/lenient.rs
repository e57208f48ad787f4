//! Manifests of older programs: fields and parameters that this build does not know are taken out of
//! them, and listed.

use nodes::ParamProblem;
use serde_json::Value as Json;

use super::{ManifestError, Problem, ProblemKind};
use crate::model::Manifest;

/// Takes out of a manifest what is not known. Returns the rest, and a problem for each part taken out.
///
/// # Errors
/// The problems that remain then.
pub fn without_unknown(text: &str) -> Result<(String, Vec<Problem>), ManifestError> {
    let mut text = text.to_owned();
    let mut left_out = Vec::new();
    // Problems of a node's parameters are found only when its fields are right, so more than one pass
    // may be needed; each takes out at least one part.
    loop {
        let Err(error) = Manifest::parse(&text) else { return Ok((text, left_out)) };
        let (unknown, others): (Vec<_>, Vec<_>) = error.problems.into_iter().partition(is_unknown);
        // Text that has another problem is not written again: that could hide the problem.
        if !others.is_empty() {
            return Err(ManifestError { problems: others });
        }
        let document = serde_json::from_str::<Json>(&text);
        let Ok(mut document) = document else { return Err(ManifestError { problems: unknown }) };
        let mut is_removed = |path: &str| {
            // Parameters may stand under their older name.
            remove(&mut document, path)
                || remove(&mut document, &path.replacen(".params.", ".config.", 1))
        };
        if !unknown.iter().all(|problem| is_removed(&problem.path)) {
            return Err(ManifestError { problems: unknown });
        }
        left_out.extend(unknown);
        text = document.to_string();
    }
}

fn is_unknown(problem: &Problem) -> bool {
    matches!(
        problem.kind,
        ProblemKind::UnknownField { .. } | ProblemKind::Param(ParamProblem::Unknown { .. })
    )
}

/// Removes the entry at a path such as `nodes[2].params.gain`. False if there is none.
fn remove(value: &mut Json, path: &str) -> bool {
    match value {
        // A key may itself contain a dot or a bracket.
        Json::Object(entries) if entries.contains_key(path) => entries.remove(path).is_some(),
        Json::Object(entries) => {
            let splits = path.match_indices(['.', '[']).map(|(at, _)| path.split_at(at));
            splits.into_iter().any(|(key, rest)| {
                let rest = rest.strip_prefix('.').unwrap_or(rest);
                entries.get_mut(key).is_some_and(|inner| remove(inner, rest))
            })
        }
        Json::Array(items) => {
            let Some((index, rest)) = path.strip_prefix('[').and_then(|path| path.split_once(']'))
            else {
                return false;
            };
            let inner = index.parse().ok().and_then(|index: usize| items.get_mut(index));
            inner.is_some_and(|inner| remove(inner, rest.strip_prefix('.').unwrap_or(rest)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_and_parameters_are_taken_out_and_listed() {
        let manifest = json!({
            "version": "v1", "runtime": {"packages": []},
            "nodes": [
                {"id": "a", "node_type": "AddNode", "params": {"addend": 2, "a.b[0]": 1}, "new": 1},
                {"id": "b", "node_type": "AddNode", "config": {"odd": 1}},
            ],
            "connections": [{"from": "a", "to": "b", "weight": 1}],
        });
        let (text, left_out) = without_unknown(&manifest.to_string()).unwrap();
        let mut paths: Vec<_> = left_out.iter().map(|problem| problem.path.as_str()).collect();
        paths.sort_unstable();
        let expected = [
            "connections[0].weight",
            "nodes[0].new",
            "nodes[0].params.a.b[0]",
            "nodes[1].params.odd",
            "runtime",
        ];
        assert_eq!(paths, expected);
        let rest: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(
            rest["nodes"][0],
            json!({"id": "a", "node_type": "AddNode", "params": {"addend": 2}})
        );
    }

    #[test]
    fn other_problems_remain() {
        let manifest =
            json!({"version": "v1", "new": 1, "nodes": [{"id": "a", "node_type": "AdNode"}]});
        let error = without_unknown(&manifest.to_string()).unwrap_err();
        assert_eq!(error.problems.len(), 1);
        assert_eq!(error.problems[0].path, "nodes[0].node_type");
        assert!(without_unknown("{").is_err());
        let known = json!({"version": "v1", "nodes": [{"id": "a", "node_type": "AddNode"}]});
        assert_eq!(without_unknown(&known.to_string()).unwrap(), (known.to_string(), vec![]));
    }
}
