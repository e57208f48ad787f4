"""Building and describing pipelines, without the native module."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from remotemedia import (
    AddNode,
    AudioResampleNode,
    ConfigurationError,
    ManifestError,
    MultiplyNode,
    Node,
    PassThroughNode,
    Pipeline,
    PipelineError,
    RemoteMediaError,
    VADNode,
)
from remotemedia.core.run_plan import plan_run


class Double(Node):
    def process(self, data: Any, /) -> Any:
        return data * 2


class Duck:
    def process(self, data: Any) -> Any:
        return data


def _manifest(pipeline: Pipeline) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(pipeline.serialize())
    return manifest


def _edges(pipeline: Pipeline) -> list[tuple[str, str]]:
    return [(c["from"], c["to"]) for c in _manifest(pipeline)["connections"]]


def test_all_forms_of_construction_give_the_same_graph() -> None:
    # spec: NRA-16
    a, b = AddNode(1), Double()
    forms = [
        Pipeline(a, b),
        Pipeline([a, b]),
        Pipeline(nodes=[a, b], name="p"),
        Pipeline("p", [a, b]),
        Pipeline([a, b], "p", True),
        Pipeline("p").add(a).add(b),
        Pipeline("p").add_node(a).add_node(b),
    ]
    for pipeline in forms:
        assert pipeline.nodes == [a, b]
        assert _edges(pipeline) == [("AddNode_0", "Double_1")]
    assert [pipeline.name for pipeline in forms[2:]] == ["p"] * 5
    assert forms[0].name.startswith("Pipeline_")
    assert forms[4].enable_metrics
    with pytest.raises(PipelineError, match="one name"):
        Pipeline("a", name="b")


def test_serialize_gives_a_v1_manifest() -> None:
    # spec: DSG-02
    pipeline = Pipeline("audio", AudioResampleNode(target_rate=8000), Double(name="my node!"))
    manifest = json.loads(pipeline.serialize(description="what it does"))
    assert manifest["version"] == "v1"
    assert manifest["metadata"]["name"] == "audio"
    assert manifest["metadata"]["description"] == "what it does"
    assert manifest["metadata"]["created_at"].endswith("Z")
    resample, mine = manifest["nodes"]
    assert resample["id"] == "AudioResampleNode_0"
    assert resample["node_type"] == "AudioResampleNode"
    assert resample["params"]["target_rate"] == 8000
    assert mine["id"] == "my_node__1"
    assert mine["node_type"] == f"{__name__}:Double"


def test_capabilities_are_written_on_request() -> None:
    class Hungry(Double):
        def get_capabilities(self) -> dict[str, Any]:
            return {"memory_gb": 1.0}

    pipeline = Pipeline(Hungry())
    assert _manifest(pipeline)["nodes"][0]["capabilities"] == {"memory_gb": 1.0}
    assert "capabilities" not in json.loads(pipeline.serialize(False))["nodes"][0]


def test_branches_and_joins() -> None:
    a, b, c, d = (PassThroughNode(name=name) for name in "abcd")
    pipeline = Pipeline().add_node(a).add_node(b)
    pipeline.add_node(c, after=a).add_node("last", d, after=[b, "c"])
    assert _edges(pipeline) == [("a_0", "b_1"), ("a_0", "c_2"), ("b_1", "last"), ("c_2", "last")]
    pipeline.add_node(PassThroughNode(name="root"), after=[])
    assert _edges(pipeline)[-1][1] == "last"
    with pytest.raises(PipelineError, match="'x' is not in the pipeline"):
        pipeline.add_node(Double(), after="x")


def test_ids_given_by_the_user() -> None:
    pipeline = Pipeline().add_node("first", Double()).add_node(Double(), id="second")
    assert _edges(pipeline) == [("first", "second")]
    with pytest.raises(ConfigurationError, match="already in use"):
        pipeline.add_node("first", Double())
    with pytest.raises(ConfigurationError, match="letters, digits"):
        pipeline.add_node("no spaces", Double())
    with pytest.raises(PipelineError, match="given twice"):
        pipeline.add_node("a", Double(), id="b")


def test_an_id_never_collides_with_a_generated_one() -> None:
    pipeline = Pipeline().add_node("Double_1", Double()).add_node(Double())
    ids = [node["id"] for node in _manifest(pipeline)["nodes"]]
    assert len(set(ids)) == 2


@pytest.mark.parametrize("wrong", [Double, object(), 3, None])
def test_what_is_no_node_is_refused(wrong: Any) -> None:
    with pytest.raises(PipelineError):
        Pipeline().add_node(wrong)


def test_any_object_with_a_process_method_is_a_node() -> None:
    pipeline = Pipeline(Duck())
    assert _manifest(pipeline)["nodes"][0]["node_type"] == f"{__name__}:Duck"


def test_nodes_are_found_and_removed_by_name_or_id() -> None:
    a, b, c = (PassThroughNode(name=name) for name in "abc")
    pipeline = Pipeline(a, b, c)
    assert pipeline.get_node("b") is b
    assert pipeline.get_node("b_1") is b
    assert pipeline.get_node("zz") is None
    assert pipeline.remove_node("b")
    assert not pipeline.remove_node("b")
    assert _edges(pipeline) == [("a_0", "c_1")]
    assert list(pipeline) == [a, c]
    assert len(pipeline) == pipeline.node_count == 2
    assert pipeline.remote_node_count == 0
    assert bool(Pipeline())
    assert "a_0" in repr(pipeline)


def test_manifest_entries_as_dicts() -> None:
    pipeline = Pipeline("p")
    pipeline.add_node({"id": "r", "node_type": "ResampleNode", "params": {"target_rate": 8000}})
    pipeline.add_node({"node_type": "my.module:Thing"})
    nodes = _manifest(pipeline)["nodes"]
    assert nodes[0] == {
        "id": "r",
        "node_type": "ResampleNode",
        "params": {"target_rate": 8000},
    }
    assert nodes[1]["id"] == "Thing_1"
    with pytest.raises(ManifestError, match="needs a node_type"):
        pipeline.add_node({"type": "ResampleNode"})


def test_manifests_come_back(tmp_path: Path) -> None:
    original = Pipeline("p", AddNode(1, name="a"), VADNode(timeout_ms=5))
    text = original.serialize()
    path = tmp_path / "p.json"
    path.write_text(text)
    for pipeline in (
        Pipeline.from_json(text),
        Pipeline.from_json(path),
        Pipeline.from_json(str(path)),
        Pipeline.from_manifest(json.loads(text)),
        asyncio.run(Pipeline.from_definition(original.export_definition())),
    ):
        assert pipeline.name == "p"
        expected, found = _manifest(original), _manifest(pipeline)
        assert found["nodes"] == expected["nodes"]
        assert found["connections"] == expected["connections"]


def test_yaml_is_read() -> None:
    pytest.importorskip("yaml")
    pipeline = Pipeline.from_yaml("version: v1\nnodes:\n- {id: a, node_type: AddNode}\n")
    assert _manifest(pipeline)["nodes"] == [{"id": "a", "node_type": "AddNode", "params": {}}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not valid JSON"),
        ("[\n]", "an object, not list"),
        ('{"version": "v9", "nodes": []}', "Unsupported manifest version 'v9'"),
        ('{"nodes": {}}', "needs a list of nodes"),
        ('{"nodes": [{"id": "a", "node_type": "X"}, {"id": "a", "node_type": "X"}]}', "Duplicate"),
        (
            '{"nodes": [{"id": "a", "node_type": "X"}], "connections": [{"from": "a", "to": "b"}]}',
            r"connections\[0\].to: unknown node 'b'",
        ),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ManifestError, match=problem):
        Pipeline.from_json(text)


def test_packages_are_refused_clearly() -> None:
    with pytest.raises(RemoteMediaError, match="not part of this version"):
        Pipeline().export("x.rmpkg")
    with pytest.raises(RemoteMediaError, match="not part of this version"):
        Pipeline().push("oci://x/y")


def test_config_lists_the_nodes() -> None:
    config = Pipeline("p", MultiplyNode(3), Duck()).get_config()
    assert config["name"] == "p"
    assert config["node_count"] == 2
    assert config["nodes"][0]["config"] == {"factor": 3}


def test_a_run_sends_native_nodes_by_name_and_others_as_objects() -> None:
    # spec: NRA-17
    class Louder(MultiplyNode):
        pass

    nodes = [MultiplyNode(2), Double(timeout_ms=9), Louder(), AddNode(runtime_hint="cpython")]
    plan = plan_run(Pipeline(nodes).graph, "p")
    native, *python = plan.manifest["nodes"]
    assert native == {"id": "MultiplyNode_0", "node_type": "MultiplyNode", "params": {"factor": 2}}
    assert [entry["instance"] for entry in python] == [0, 1, 2]
    assert [entry["params"] for entry in python] == [{}, {}, {}]
    assert python[0]["timeout_ms"] == 9
    assert list(plan.instances.values()) == nodes[1:]


def test_a_pipeline_without_nodes_does_not_run() -> None:
    with pytest.raises(ManifestError, match="at least one node"):
        plan_run(Pipeline().graph, "p")


def test_remote_nodes_are_refused() -> None:
    node = Double()
    node.is_remote = True
    with pytest.raises(RemoteMediaError, match="remote execution"):
        plan_run(Pipeline(node).graph, "p")
