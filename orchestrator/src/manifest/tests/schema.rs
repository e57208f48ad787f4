//! The published schema and the parser agree on documents with a fault in every place.

use serde_json::{Value as Json, json};

use super::super::{ProblemKind, SCHEMA};
use super::{full, one};
use crate::model::{Manifest, RuntimeHint};
use crate::test_schema::Schema;

/// Every variant of `document` in which one value is replaced, removed, or joined by an unknown
/// neighbour.
fn variants(document: &Json) -> Vec<Json> {
    let mut pointers = vec![String::new()];
    collect(document, "", &mut pointers);
    let mut variants = vec![document.clone()];
    for pointer in &pointers {
        for other in [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(7),
            json!(""),
            json!("local"),
            json!("zip"),
            json!("a b"),
            json!([]),
            json!(["x"]),
            json!({}),
            json!({"x": 1}),
        ] {
            let mut variant = document.clone();
            *variant.pointer_mut(pointer).unwrap() = other;
            variants.push(variant);
        }
        let mut variant = document.clone();
        if let Some(object) = variant.pointer_mut(pointer).unwrap().as_object_mut() {
            object.insert("unknown_neighbour".to_owned(), json!(1));
            variants.push(variant);
        }
        if let Some((parent, key)) = pointer.rsplit_once('/') {
            let mut variant = document.clone();
            if let Some(object) = variant.pointer_mut(parent).unwrap().as_object_mut() {
                object.remove(key);
                variants.push(variant);
            }
        }
    }
    variants
}

fn collect(value: &Json, at: &str, pointers: &mut Vec<String>) {
    let children: Vec<(String, &Json)> = match value {
        Json::Object(fields) => fields.iter().map(|(key, v)| (key.clone(), v)).collect(),
        Json::Array(items) => items.iter().enumerate().map(|(n, v)| (n.to_string(), v)).collect(),
        _ => return,
    };
    for (key, child) in children {
        let pointer = format!("{at}/{key}");
        pointers.push(pointer.clone());
        collect(child, &pointer, pointers);
    }
}

/// Problems that a schema cannot express: unknown names, and rules about several parts.
fn is_beyond_the_schema(kind: &ProblemKind) -> bool {
    matches!(
        kind,
        ProblemKind::NodeType(_)
            | ProblemKind::Param(_)
            | ProblemKind::Graph(_)
            | ProblemKind::RepeatedKey
            | ProblemKind::HugeInteger { .. }
            | ProblemKind::Unsupported {
                what: "isolate a native node, which runs in no worker"
                    | "limit a native node, which runs in no worker"
                    | "limit a node that shares its worker with others"
                    | "pass several inputs on as one output (join is \"zip\")"
                    | "return the outputs of a node that feeds another one",
                ..
            }
    )
}

// spec: NRA-01
#[test]
fn schema_and_parser_agree() {
    let schema = Schema::new(SCHEMA);
    let small = json!({"version": "v1", "nodes": [{"id": "a", "node_type": "VADNode"}]});
    let mut documents = variants(&full());
    documents.extend(variants(&small));
    for (_, text) in [
        ("old dialect", r#"{"version": "1.0", "nodes": [{"id": "a", "type": "X"}], "edges": []}"#),
        (
            "remote",
            r#"{"version": "v1", "nodes": [{"id": "a", "node_type": "X:Y", "host": "h:1"}]}"#,
        ),
    ] {
        documents.push(serde_json::from_str(text).unwrap());
    }
    let (mut accepted, mut refused) = (0, 0);
    for document in &documents {
        let by_parser = match Manifest::parse(&document.to_string()) {
            Ok(_) => true,
            Err(error) => error.problems.iter().all(|p| is_beyond_the_schema(&p.kind)),
        };
        let by_schema = schema.is_valid(document);
        let said = Manifest::parse(&document.to_string()).map(|_| ()).map_err(|e| e.to_string());
        assert_eq!(by_schema, by_parser, "{document:#}\nparser: {said:?}");
        if by_schema { accepted += 1 } else { refused += 1 }
    }
    assert!(accepted > 50 && refused > 300, "{accepted} accepted, {refused} refused");
}

#[test]
fn schema_and_parser_know_the_same_hints() {
    let schema = Schema::new(SCHEMA);
    for hint in RuntimeHint::spellings() {
        let document = |hint: &str| -> Json {
            serde_json::from_str(&one(&json!({"runtime_hint": hint}))).unwrap()
        };
        assert!(schema.is_valid(&document(&hint.to_uppercase())), "{hint}");
        assert!(!schema.is_valid(&document(&format!("{hint}x"))), "{hint}");
    }
}
