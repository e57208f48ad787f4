"""Pools with names: which node runs where, and what a pool gives its workers."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from interpreters import environment_of, other_pythons, version_of
from pool_nodes import Package, Small, There, Where
from remotemedia import (
    ConfigurationError,
    ManifestError,
    Node,
    NodeError,
    Pipeline,
    RemoteMediaError,
)
from remotemedia.runtime import Runtime


def found(pipeline: Pipeline) -> list[dict[str, Any]]:
    """What each node of a pipeline finds around it."""
    result: list[dict[str, Any]] = pipeline.run(([],))[-1:]
    return result if isinstance(result, list) else [result]


def everything(pipeline: Pipeline) -> list[dict[str, Any]]:
    """What all its nodes find."""
    with pipeline.session() as session:
        (result,) = session.process([])
    listed: list[dict[str, Any]] = result
    return listed


def test_a_pool_gives_its_workers_what_its_section_says(tmp_path: Path) -> None:
    """spec: CARD-09"""
    processors = sorted(os.sched_getaffinity(0))
    config = f"""
        [python.environment]
        POOL_MARK = "all"
        [pools.gpu]
        nodes = ["There"]
        environment = {{ POOL_MARK = "gpu" }}
        working_directory = "{tmp_path}"
        sys_path = ["{tmp_path / "models"}"]
        nice = 4
        cpu_affinity = "{processors[-1]}"
    """
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    with Runtime(config) as runtime:
        pipeline = Pipeline(Where(), There(), Where(), runtime=runtime)
        for _ in range(3):  # in warm workers too
            first, there, last = everything(pipeline)
            assert first["pid"] == last["pid"] != there["pid"]
            assert (first["mark"], there["mark"]) == ("all", "gpu")
            assert (first["niceness"], there["niceness"]) == (mine, min(mine + 4, 19))
            assert (first["processors"], there["processors"]) == (processors, processors[-1:])
            assert (first["folder"], there["folder"]) == (str(Path.cwd()), str(tmp_path))
            assert there["first"] == str(tmp_path / "models")
        assert {p["name"]: len(p["workers"]) for p in runtime.pools()} == {
            "cpython": 1,
            "rustpython": 0,
            "gpu": 1,
        }


def test_a_pattern_a_node_and_a_pipeline_choose_the_pool_in_this_order() -> None:
    """spec: CARD-09"""
    config = '[pools.a]\nnodes = ["pool_nodes:Th*"]\n[pools.b]\n[pools.c]\n'
    with Runtime(config) as runtime:
        pipeline = Pipeline(There(pool="b"), Where(pool="b"), Where(), pool="c", runtime=runtime)
        told = pipeline.explain()
        assert [(node.pool, node.why) for node in told] == [
            ("a", "its pattern pool_nodes:Th*"),
            ("b", "asked for by the node"),
            ("c", "asked for by the pipeline"),
        ]
        pids = [entry["pid"] for entry in everything(pipeline)]
        of_pool = {p["name"]: [w["pid"] for w in p["workers"]] for p in runtime.pools()}
        assert [of_pool["a"], of_pool["b"], of_pool["c"]] == [[pid] for pid in pids]
        manifest = Pipeline.from_json(pipeline.serialize(), runtime=runtime)
        assert [node.pool for node in manifest.explain()] == ["a", "b", "c"]
        copied = pickle.loads(pickle.dumps(pipeline))
        assert copied.pool == "c"


def test_an_attribute_that_is_no_name_belongs_to_the_node() -> None:
    """A node may have a pool of its own: of threads, or of connections."""

    class Own(Node):
        def __init__(self) -> None:
            super().__init__()
            self.pool = [1, 2]  # type: ignore[assignment]  # a node's own

        def process(self, item: Any) -> Any:
            return [item, self.pool]

    assert Pipeline(Own()).run(3) == [3, [1, 2]]


def test_two_pools_run_two_other_pythons_with_their_own_packages(tmp_path: Path) -> None:
    """spec: CARD-09, CARD-07"""
    pythons = other_pythons()[:2]
    if not pythons:
        pytest.skip("there is no other CPython")
    pools: dict[str, dict[str, str]] = {}
    expected: list[tuple[int, ...]] = []
    for number, python in enumerate(pythons):
        name = f"env{number}"
        program = environment_of(python, tmp_path / name)
        (packages,) = (tmp_path / name).glob("lib/python3*/site-packages")
        (packages / "environment_mark.py").write_text(f"NAME = {name!r}\n")
        pools[name] = {"interpreter": program}
        expected.append((*map(int, version_of(program).split(".")), name))  # type: ignore[arg-type]
    with Runtime(pools=pools) as runtime:
        pipeline = Pipeline([Package(pool=name) for name in pools], runtime=runtime)
        for _ in range(2):
            with pipeline.session() as session:
                assert session.process([]) == [expected]
        assert {node.pool for node in pipeline.explain()} == set(pools)
        bare = Pipeline(Package(), runtime=runtime)
        with pytest.raises(NodeError, match="environment_mark"):
            bare.run([[]])


def test_a_pool_of_rustpython_runs_nodes_beside_cpython() -> None:
    """spec: CARD-09, IOP-41"""
    config = '[pools.light]\ninterpreter = "rustpython"\nnodes = ["light_*"]\nmax = 2\n'
    with Runtime(config) as runtime:
        pipeline = Pipeline(Small(name="light"), lambda text: text, runtime=runtime)
        told = pipeline.explain()
        assert [(node.runtime, node.pool) for node in told] == [
            ("rustpython", "light"),
            ("cpython", "cpython"),
        ]
        assert pipeline.run(5) == "rustpython 5"
        workers = {p["name"]: len(p["workers"]) for p in runtime.pools()}
        assert workers == {"cpython": 1, "rustpython": 0, "light": 1}


def test_limits_and_time_limits_are_those_of_the_pool() -> None:
    """spec: CARD-09"""
    from pool_nodes import Hungry, Slow

    config = '[pools.small]\nmemory = "256 MiB"\ntimeout = "200 ms"\n'
    with Runtime(config) as runtime:
        assert Pipeline(Hungry(), runtime=runtime).run(400) == 400 << 20
        with pytest.raises(NodeError, match="MemoryError"):
            Pipeline(Hungry(pool="small"), runtime=runtime).run(400)
        assert Pipeline(Slow(), runtime=runtime).run(0.5) == 0.5
        with pytest.raises(NodeError, match="within 200 ms"):
            Pipeline(Slow(pool="small"), runtime=runtime).run(5.0)


def test_the_size_of_a_pool_bounds_its_workers() -> None:
    """spec: CARD-09"""
    with Runtime("[pools.one]\nmax = 1\n") as runtime:
        pipeline = Pipeline(Where(pool="one"), There(pool="one", isolated=True), runtime=runtime)
        with pytest.raises(RemoteMediaError, match=r"\[pools\.one\] max allows 1"):
            pipeline.run(([],))


def test_pickles_are_refused_where_the_pool_refuses_them() -> None:
    """spec: CARD-09"""

    class Odd:
        pass

    with Runtime("[pools.strict]\nallow_pickle = false\n") as runtime:
        assert Pipeline(lambda item: 1, runtime=runtime).run([Odd()]) == 1
        strict = Pipeline(lambda item: 1, pool="strict", runtime=runtime)
        with pytest.raises(RemoteMediaError, match="allow_pickle"):
            strict.run([Odd()])


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        (lambda: [Where(pool="gpuu")], "no pool 'gpuu', did you mean 'gpu'"),
        (lambda: [Where(pool="gpu", runtime_hint="rustpython")], "pool 'gpu' runs cpython"),
    ],
)
def test_a_pool_that_cannot_be_meant_is_an_error(nodes: Any, told: str) -> None:
    with Runtime("[pools.gpu]\n") as runtime, pytest.raises(RemoteMediaError, match=told):
        Pipeline(nodes(), runtime=runtime).run(([],))


def test_a_native_node_has_no_pool() -> None:
    document = {
        "version": "v1",
        "nodes": [{"id": "a", "node_type": "PassThroughNode", "pool": "gpu"}],
    }
    with Runtime("[pools.gpu]\n") as runtime, pytest.raises(ManifestError, match="native node"):
        Pipeline.from_manifest(document, runtime=runtime).run(1)


def test_what_the_system_refuses_a_pool_names_its_key(tmp_path: Path) -> None:
    config = f"""
        [pools.nowhere]
        interpreter = "{tmp_path / "none"}"
        [pools.far]
        cpu_affinity = "8000"
    """
    with Runtime(config) as runtime:
        with pytest.raises(RemoteMediaError, match=r"check \[pools\.nowhere\] interpreter"):
            Pipeline(Where(), pool="nowhere", runtime=runtime).run(([],))
        with pytest.raises(RemoteMediaError, match="cpu_affinity"):
            Pipeline(Where(), pool="far", runtime=runtime).run(([],))
        assert Pipeline(Where(), runtime=runtime).run(([],))


def test_a_pattern_that_means_no_node_is_a_warning_with_the_nearest_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Runtime('[pools.gpu]\nnodes = ["Wherre", "There"]\n') as runtime:
        pipeline = Pipeline(Where(), There(), name="p", runtime=runtime)
        assert "'Wherre'" in pipeline.explain().warnings[0]
        for _ in range(2):
            pipeline.run(([],))
    (told,) = [record.message for record in caplog.records if "pattern" in record.message]
    assert told == (
        "pool 'gpu': the pattern 'Wherre' in `nodes` means no node; the most similar name is "
        "'Where' of pipeline 'p'"
    )


def test_a_configuration_names_a_wrong_pool() -> None:
    with pytest.raises(ConfigurationError, match=r"\[pools.gpu\] maxx: unknown key"):
        Runtime(pools={"gpu": {"maxx": 1}})


def test_the_worker_that_starts_ahead_is_of_the_pool_that_is_asked_for() -> None:
    """spec: CARD-09"""
    with Runtime("[pools.gpu]\n") as runtime:
        assert Pipeline(Where(), pool="gpu", runtime=runtime).run(([],))
        used = {pool["name"]: len(pool["workers"]) for pool in runtime.pools()}
        assert used == {"cpython": 0, "rustpython": 0, "gpu": 1}
