//! Tests of the node numbers of stages.

use ipc_protocol::Value;
use ipc_protocol::to_worker::{NodeClass, NodeSpec, OpenSession, StageSpec};

use super::Stages;

fn stage(stage: u32, nodes: usize) -> StageSpec {
    let node = NodeSpec {
        node_id: "node".to_owned(),
        class: NodeClass::Instance(0),
        params: Value::Dict(Vec::new()),
        is_streaming: false,
        keeps_failed: false,
    };
    StageSpec { stage, nodes: vec![node; nodes] }
}

fn session(stages: Vec<StageSpec>) -> OpenSession {
    OpenSession {
        stages,
        instances: None,
        sys_path: Vec::new(),
        working_directory: None,
        surroundings: None,
        buffers: Vec::new(),
        saved: Vec::new(),
        capture: None,
        write_back_max_bytes: 0,
        allow_pickle: true,
    }
}

#[test]
fn nodes_are_numbered_through_the_session() {
    let stages = Stages::of(&session(vec![stage(4, 2), stage(1, 3)]));
    assert_eq!(stages.nodes_of(4), 0..2);
    assert_eq!(stages.nodes_of(1), 2..5);
    assert_eq!(stages.node_count(), 5);
}

#[test]
fn a_stage_that_is_not_there_has_no_nodes() {
    assert_eq!(Stages::of(&session(vec![stage(4, 2)])).nodes_of(0), 0..0);
    assert_eq!(Stages::default().node_count(), 0);
}
