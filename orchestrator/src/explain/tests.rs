//! Tests of the text of an explanation.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Explanation;
use crate::choice::Choice;
use crate::fallback::Finding;
use crate::graph::Graph;
use crate::model::Manifest;
use crate::placement::Origin;
use crate::placement::{Engine, RUSTPYTHON_POOL};
use crate::plan::{Plan, PlanOptions};
use crate::reason::Reason;

#[test]
fn every_node_is_told_with_its_place_and_the_reason() {
    // spec: IOP-39, IOP-40, IOP-41
    let manifest = Manifest::parse(
        r#"{"version": "v1", "metadata": {"name": "mixed"}, "nodes": [
            {"id": "resample", "node_type": "ResampleNode"},
            {"id": "light", "node_type": "my.nodes:Light"},
            {"id": "heavy", "node_type": "my.nodes:Heavy"},
            {"id": "hinted", "node_type": "my.nodes:Other", "runtime_hint": "cpython"}],
            "connections": [{"from": "resample", "to": "light"}, {"from": "light", "to": "heavy"},
                            {"from": "heavy", "to": "hinted"}]}"#,
    )
    .unwrap();
    let reason = Reason::Load { error: "ImportError: torch".to_owned() };
    let options = PlanOptions {
        python: Choice { runtime: Engine::RustPython, origin: Origin::Environment },
        findings: HashMap::from([("heavy".to_owned(), Finding::Unsupported(reason))]),
        ..PlanOptions::default()
    };
    let plan = Plan::new(&Graph::new(&manifest).unwrap(), &options).unwrap();
    let program = |pool| match pool {
        RUSTPYTHON_POOL => ("rustpython".to_owned(), Some(PathBuf::from("/bin/rp"))),
        _ => ("cpython".to_owned(), None),
    };
    let explanation = Explanation::of(manifest.name(), &plan, program);
    let chosen = "REMOTEMEDIA_PYTHON_RUNTIME";
    let moved = format!(
        "moved from RustPython, which {chosen} chose: its module cannot be loaded: ImportError: torch"
    );
    assert_eq!(
        explanation.to_string(),
        format!(
            "mixed: 3 stages, 2 workers\n  \
             stage 0  resample  native               it has a native form\n  \
             stage 1  light     rustpython worker 0  {chosen}\n  \
             stage 2  heavy     cpython worker 1     {moved}\n  \
             stage 2  hinted    cpython worker 1     its runtime_hint\n"
        )
    );
    let json = explanation.to_json();
    assert_eq!(json["nodes"][1]["program"], "/bin/rp");
    assert_eq!(json["nodes"][2]["fallback"]["kind"], "load");
    assert!(json["nodes"][0]["worker"].is_null() && json["nodes"][1]["fallback"].is_null());
}
