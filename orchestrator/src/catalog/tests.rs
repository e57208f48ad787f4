//! Tests of names and of the code that a name is resolved to.

use serde_json::json;

use super::{Catalog, ResolveError};
use crate::manifest::Author;
use crate::model::{Manifest, ManifestNode, RuntimeHint};
use crate::placement::Engine;

fn node(node_type: &str, hint: RuntimeHint) -> ManifestNode {
    let text = json!({"version": "v1", "nodes": [{"id": "n", "node_type": "X", "instance": 0}]});
    let manifest = Manifest::parse_from(&text.to_string(), Author::Sdk).unwrap();
    ManifestNode {
        node_type: node_type.to_owned(),
        instance: None,
        runtime_hint: hint,
        ..manifest.nodes[0].clone()
    }
}

fn error(node_type: &str, hint: RuntimeHint) -> ResolveError {
    Catalog::builtin().resolve(&node(node_type, hint), Engine::CPython).unwrap_err()
}

// spec: FFI-04
#[test]
fn known_names_are_native_and_python_each_once() {
    let names = Catalog::builtin().known_names();
    for name in ["PassThroughNode", "ResampleNode", "AudioResampleNode", "BufferNode", "VADNode"] {
        assert_eq!(names.iter().filter(|known| **known == name).count(), 1, "{name}");
    }
    assert!(names.is_sorted());
}

#[test]
fn every_native_node_of_the_sdk_has_a_python_class() {
    for native in nodes::registry::builtin().types() {
        let class = Catalog::builtin().python(native.name);
        assert!(class.is_some(), "{} has no class in the SDK", native.name);
    }
}

// spec: FFI-10
#[test]
fn an_unknown_type_names_the_nearest_one() {
    let found = error("VadNod", RuntimeHint::Auto);
    assert_eq!(
        found,
        ResolveError::UnknownType {
            node_type: "VadNod".to_owned(),
            nearest: Some("VADNode".to_owned())
        }
    );
    assert!(found.to_string().contains("did you mean 'VADNode'?"), "{found}");
    let found = error("Qx", RuntimeHint::Auto).to_string();
    assert!(found.contains("`remotemedia nodes` lists"), "{found}");
}

#[test]
fn a_node_of_another_build_says_how_to_get_it() {
    let name = "OpusEncoderNode";
    let Some(advice) = nodes::registry::how_to_get(name) else { return };
    let found = error(name, RuntimeHint::Auto);
    assert_eq!(found, ResolveError::NotBuilt { node_type: name.to_owned(), advice });
    assert!(found.to_string().contains("--features opus"), "{found}");
}

#[test]
fn hints_that_cannot_be_followed_say_so() {
    let native = RuntimeHint::Native;
    assert!(matches!(error("BufferNode", native), ResolveError::NoNative { .. }));
    assert!(matches!(error("my.nodes:Echo", native), ResolveError::NoNative { .. }));
}

#[test]
fn imports_must_be_python_names() {
    for wrong in [":", "a:", ":B", "a b:C", "a:B:C", "a..b:C", "1a:B", "a:B-C", "../a:B"] {
        let found = error(wrong, RuntimeHint::Auto);
        assert!(matches!(found, ResolveError::BadImport { .. }), "{wrong}: {found}");
    }
    let found = error("__main__:Mine", RuntimeHint::Auto);
    assert!(matches!(found, ResolveError::MainModule { .. }), "{found}");
}
