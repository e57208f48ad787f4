"""What `remotemedia_runtime` says about manifests, nodes and itself."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest

import remotemedia
import remotemedia_runtime
from places import REPOSITORY
from remotemedia_runtime import get_available_nodes, get_node_metadata, validate_manifest


def test_the_version_is_semantic_and_everywhere_the_same() -> None:
    # spec: FFI-06
    version = remotemedia_runtime.__version__
    assert re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", version)
    assert remotemedia_runtime.get_runtime_version() == version
    assert remotemedia.__version__ == version
    assert tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]["package"][
        "version"
    ] == (version)


def test_the_module_has_the_five_functions() -> None:
    # spec: FFI-06
    for name in (
        "execute_pipeline",
        "execute_pipeline_with_input",
        "validate_manifest",
        "get_available_nodes",
        "get_node_metadata",
    ):
        assert callable(getattr(remotemedia_runtime, name))
        assert name in remotemedia_runtime.__all__
        assert getattr(remotemedia, name) is getattr(remotemedia_runtime, name)


@pytest.mark.parametrize(
    "manifest",
    [
        {"version": "v1", "nodes": [{"id": "a", "node_type": "AddNode"}]},
        {
            "version": "v1",
            "metadata": {"name": "x"},
            "nodes": [{"id": "a", "node_type": "VADNode"}],
        },
        {"version": "v1", "nodes": [{"id": "a", "node_type": "no.such.module:Class"}]},
    ],
)
def test_a_valid_manifest_is_true(manifest: dict[str, Any]) -> None:
    # spec: FFI-03, FFI-23
    assert validate_manifest(json.dumps(manifest)) is True


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ('{"version": "v1",', "JSON", "line 1, column"),
        ("[]", "object", ""),
        ("", "JSON", ""),
        ('{"version":"v1","nodes":[]}', "at least one node", "nodes"),
        ('{"version":"v7","nodes":[{"id":"a","node_type":"AddNode"}]}', "v7", "version"),
        ('{"version":"v1","nodes":[{"id":"a b","node_type":"AddNode"}]}', "a b", r"nodes\[0\].id"),
        ('{"version":"v1","nodes":[{"id":"a"}]}', "missing", r"nodes\[0\].node_type"),
        (
            '{"version":"v1","nodes":[{"id":"a","node_type":"AddNode","params":{"addend":"x"}}]}',
            "number",
            r"nodes\[0\].params.addend",
        ),
        (
            '{"version":"v1","nodes":[{"id":"a","node_type":"VADNode",'
            '"params":{"threshold":-99}}]}',
            "-60",
            r"nodes\[0\].params.threshold",
        ),
        (
            '{"version":"v1","nodes":[{"id":"a","node_type":"AddNode"}],'
            '"connections":[{"from":"a","to":"z"}]}',
            "'z'",
            r"connections\[0\].to",
        ),
    ],
)
def test_what_is_wrong_and_where(text: str, what: str, where: str) -> None:
    # spec: FFI-03, FFI-07, FFI-23
    with pytest.raises(ValueError, match=what) as caught:
        validate_manifest(text)
    assert re.search(where, str(caught.value))
    assert isinstance(caught.value, remotemedia.ManifestError)


def test_all_problems_are_told_at_once() -> None:
    # spec: FFI-03
    manifest = {
        "version": "v1",
        "nodes": [
            {"id": "a", "node_type": "AddNode", "params": {"addent": 1}},
            {"id": "a", "node_type": "AddNode"},
        ],
        "connections": [{"from": "a", "to": "b"}],
    }
    with pytest.raises(remotemedia.ManifestError) as caught:
        validate_manifest(json.dumps(manifest))
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "did you mean 'addend'" in problems
    assert "Duplicate node ID 'a'" in problems
    assert "unknown target node 'b'" in problems
    assert all(problem in str(caught.value) for problem in caught.value.problems)


def test_every_node_type_describes_itself() -> None:
    # spec: FFI-04, FFI-05
    names = get_available_nodes()
    assert names == sorted(set(names))
    assert {"PassThroughNode", "CalculatorNode", "AddNode", "MultiplyNode"} <= set(names)
    for name in names:
        metadata = get_node_metadata(name)
        assert name in (metadata["name"], *metadata["aliases"])
        assert re.fullmatch(r"\d+\.\d+\.\d+", metadata["version"])
        assert all(isinstance(word, str) for word in metadata["capabilities"])
        for parameter in metadata["parameters"].values():
            assert isinstance(parameter["type"], str)
            assert "default" in parameter


def test_an_alias_has_the_metadata_of_its_node() -> None:
    # spec: FFI-05, FFI-23
    assert get_node_metadata("AudioResampleNode") == get_node_metadata("ResampleNode")
    resample = get_node_metadata("ResampleNode")["parameters"]["target_rate"]
    assert resample["unit"] == "Hz"
    assert resample["default"] == 16000


def test_the_defaults_make_a_node() -> None:
    # spec: FFI-05
    for name in ("VADNode", "ResampleNode", "FormatConverterNode", "CalculatorNode"):
        metadata = get_node_metadata(name)
        params = {
            key: value["default"]
            for key, value in metadata["parameters"].items()
            if value["default"] is not None
        }
        node = {"id": "n", "node_type": name, "params": params}
        assert validate_manifest(json.dumps({"version": "v1", "nodes": [node]}))


def test_an_unknown_node_type_has_no_metadata() -> None:
    # spec: FFI-10, FFI-23
    with pytest.raises(KeyError, match="VADNode"):
        get_node_metadata("VDNode")
    with pytest.raises(KeyError):
        get_node_metadata("")


@pytest.mark.parametrize("wrong", [None, 3, b"{}"])
def test_a_manifest_is_text(wrong: Any) -> None:
    # spec: FFI-23
    for call in (
        validate_manifest,
        remotemedia_runtime.execute_pipeline,
        lambda text: remotemedia_runtime.execute_pipeline_with_input(text, 1),
        get_node_metadata,
    ):
        with pytest.raises(TypeError):
            call(wrong)
