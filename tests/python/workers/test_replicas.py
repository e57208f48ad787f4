"""Nodes with replicas: items side by side in several workers of one session."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import remotemedia_runtime
from remotemedia import (
    ConfigurationError,
    DataSinkNode,
    ManifestError,
    MultiplyNode,
    NodeError,
    NodeTimeout,
    Pipeline,
    RemoteMediaError,
    RunCancelled,
    Runtime,
    WorkerCrashed,
)
from replica_nodes import (
    Choosy,
    Counting,
    DiesAt,
    Flushing,
    Marks,
    Meeting,
    Preloads,
    Sleeper,
    Turns,
    Where,
    await_path,
    split,
)
from saved_nodes import Sums

BOTH = pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])


@pytest.fixture(scope="module")
def where() -> Iterator[Runtime]:
    with Runtime("[workers]\nmax = 4\n[rustpython]\nmax = 4\n") as made:
        yield made


def metrics_of(pipeline: Pipeline, node: int = 0) -> dict[str, Any]:
    metrics = pipeline.get_metrics()
    assert metrics is not None
    found: dict[str, Any] = metrics["nodes"][node]
    return found


# Order, and workers.


@BOTH
def test_outputs_come_in_the_order_of_the_items_from_several_workers(
    where: Runtime, tmp_path: Path, interpreter: str
) -> None:
    """spec: CARD-02, CARD-03, IOP-02"""
    pipeline = Pipeline(Meeting(str(tmp_path), 3, replicas=3), runtime=where)
    assert pipeline.run(list(range(100)), runtime=interpreter) == list(range(100))
    assert len(list(tmp_path.iterdir())) == 3
    assert metrics_of(pipeline)["runtime"] == interpreter
    assert metrics_of(pipeline)["execution_count"] == 100


@BOTH
def test_outputs_come_as_they_are_made_where_order_does_not_count(
    where: Runtime, tmp_path: Path, interpreter: str
) -> None:
    """spec: IOP-02"""
    items = [("await", str(tmp_path / "made")), ("plain", ""), ("make", str(tmp_path / "made"))]
    for is_ordered in (False, True):
        (tmp_path / "made").unlink(missing_ok=True)
        pipeline = Pipeline(Turns(replicas=2, replicas_ordered=is_ordered), runtime=where)
        outputs = pipeline.run(items, runtime=interpreter)
        assert sorted(outputs) == ["await", "make", "plain"]
        assert outputs[0] == ("await" if is_ordered else "plain")


@pytest.mark.parametrize("is_ordered", [True, False])
def test_the_outputs_of_a_generator_stay_together(where: Runtime, is_ordered: bool) -> None:
    """spec: IOP-22"""
    node = Counting(replicas=3, replicas_ordered=is_ordered)
    numbers = [200, 3, 150, 0, 70, 1, 130]
    outputs = Pipeline(node, runtime=where).run(numbers)
    groups = {number: [part for of, part in outputs if of == number] for number in numbers}
    assert groups == {number: list(range(number)) for number in numbers}
    changes = [
        of for (of, _), (before, _) in zip(outputs[1:], outputs, strict=False) if of != before
    ]
    assert len(changes) == len(numbers) - 2
    if is_ordered:
        assert [outputs[0][0], *changes] == [number for number in numbers if number]


def test_nodes_around_replicas_see_all_items_in_order(where: Runtime) -> None:
    """spec: IOP-25"""
    pipeline = Pipeline(
        split, MultiplyNode(3), Where(replicas=2), lambda pair: pair[0], runtime=where
    )
    assert pipeline.run([list(range(50)), [7]]) == [*range(0, 150, 3), 21]


def test_a_warm_second_run_uses_the_same_workers_also_after_another_pipeline(
    tmp_path: Path,
) -> None:
    """spec: CARD-02"""
    with Runtime("[workers]\nmax = 2\n") as where:
        pipeline = Pipeline(Meeting(str(tmp_path), 2, replicas=2), runtime=where)
        for _ in range(3):
            assert pipeline.run([1, 2, 3]) == [1, 2, 3]
            assert Pipeline(Where(), runtime=where).run(5)[0] == 5
            for mark in tmp_path.iterdir():
                assert int(mark.name) in {worker["pid"] for worker in where.workers()}
                mark.unlink()


def test_where_the_pool_has_one_free_worker_one_replica_does_all() -> None:
    """spec: CARD-02"""
    with Runtime("[workers]\nmax = 2\n") as where:
        pipeline = Pipeline(Where(replicas=2), runtime=where)
        with Pipeline(Where(), runtime=where).session() as other:
            other.process(1)
            outputs = pipeline.run(list(range(40)))
            assert [number for number, _ in outputs] == list(range(40))
            assert len({pid for _, pid in outputs}) == 1
        assert [number for number, _ in pipeline.run(list(range(40)))] == list(range(40))


def test_a_lane_of_a_map_has_one_of_each_node(where: Runtime) -> None:
    """spec: CARD-02"""
    pipeline = Pipeline(Where(replicas=3), runtime=where)
    assert [number for number, _ in pipeline.map(range(20), workers=2)] == list(range(20))
    assert metrics_of(pipeline)["replica_pids"] == []


# Errors and deaths.


@BOTH
def test_an_error_is_raised_at_the_place_of_its_item(where: Runtime, interpreter: str) -> None:
    """spec: IOP-23, IOP-25"""
    pipeline = Pipeline(Choosy(name="choosy", replicas=3), runtime=where)
    for _ in range(2):
        with pytest.raises(NodeError, match="not 7") as raised:
            pipeline.run(list(range(1, 30)), runtime=interpreter)
        assert raised.value.partial_results == [1, 2, 3, 4, 5, 6]
        assert raised.value.node_id == "choosy_0"
    with pipeline.session() as session:
        for item in range(1, 16):
            if item % 7:
                assert session.process(item) == [item]
            else:
                with pytest.raises(NodeError, match=f"not {item}"):
                    session.process(item)


def test_the_rest_of_an_item_that_failed_is_dropped_and_the_next_one_is_served(
    where: Runtime,
) -> None:
    """spec: IOP-25"""
    pipeline = Pipeline(split, Choosy(replicas=3), runtime=where)
    with pipeline.session() as session:
        for _ in range(20):
            with pytest.raises(NodeError, match="not 7") as raised:
                session.process(list(range(1, 30)))
            assert raised.value.partial_results == [1, 2, 3, 4, 5, 6]
            assert session.process([8, 9, 10]) == [8, 9, 10]


@BOTH
def test_a_replica_that_dies_fails_one_item_and_the_next_run_has_a_fresh_one(
    where: Runtime, tmp_path: Path, interpreter: str
) -> None:
    """spec: CARD-08"""
    pipeline = Pipeline(DiesAt(13, str(tmp_path), 1, replicas=2), runtime=where)
    with pytest.raises(WorkerCrashed) as raised:
        pipeline.run(list(range(40)), runtime=interpreter)
    assert raised.value.partial_results == list(range(13))
    assert pipeline.run(list(range(40)), runtime=interpreter) == list(range(40))


def test_an_item_whose_worker_dies_is_repeated_at_its_place_where_that_is_asked_for(
    where: Runtime, tmp_path: Path
) -> None:
    """spec: CARD-08, NRA-08"""
    node = DiesAt(13, str(tmp_path), 2, replicas=2, stateless=True, retry=True)
    pipeline = Pipeline(node, runtime=where)
    assert pipeline.run(list(range(40))) == list(range(40))
    assert metrics_of(pipeline)["retry_count"] == 2


def test_the_time_limit_of_a_node_counts_for_each_replica(where: Runtime, tmp_path: Path) -> None:
    """spec: CARD-08"""
    pipeline = Pipeline(Sleeper(replicas=2, timeout_ms=300), runtime=where)
    with pytest.raises(NodeTimeout) as raised:
        pipeline.run([1, str(tmp_path / "a"), 2, 3])
    assert raised.value.partial_results == [1]
    assert pipeline.run([1, 2, 3]) == [1, 2, 3]


# Interrupts, the end.


@BOTH
def test_an_interrupt_reaches_all_replicas_and_the_next_item_is_served(
    where: Runtime, tmp_path: Path, interpreter: str
) -> None:
    """spec: IOP-22"""
    marks = [tmp_path / "a", tmp_path / "b"]
    pipeline = Pipeline(split, Sleeper(replicas=2), runtime=where)
    outputs: list[Any] = []
    with pipeline.session(runtime=interpreter) as session:
        assert session.process([1, 2]) == [1, 2]
        items = [str(mark) for mark in marks]
        working = threading.Thread(target=lambda: outputs.append(session.process(items)))
        working.start()
        for mark in marks:
            await_path(mark)
        session.interrupt()
        working.join()
        assert outputs == [[]]
        assert session.process([3, 4, 5]) == [3, 4, 5]


def test_cancelling_interrupts_all_replicas_and_workers_stay_warm(tmp_path: Path) -> None:
    """spec: CARD-02"""
    marks = [tmp_path / "a", tmp_path / "b"]
    raised: list[BaseException] = []
    with Runtime("[workers]\nmax = 3\n") as where:
        pipeline = Pipeline(split, Sleeper(replicas=2), runtime=where)
        session = pipeline.session()

        def work() -> None:
            try:
                session.process([str(mark) for mark in marks])
            except RunCancelled as error:
                raised.append(error)

        working = threading.Thread(target=work)
        working.start()
        for mark in marks:
            await_path(mark)
        before = {worker["pid"] for worker in where.workers()}
        session.cancel()
        working.join()
        session.close()
        assert len(raised) == 1
        outputs = Pipeline(Where(replicas=2), runtime=where).run(list(range(20)))
        assert {pid for _, pid in outputs} <= before


def test_the_end_of_the_input_reaches_each_replica_once(where: Runtime, tmp_path: Path) -> None:
    """spec: IOP-22"""
    pipeline = Pipeline(Flushing(str(tmp_path), 2, replicas=2), runtime=where)
    outputs = pipeline.run([1, 2, 3])
    assert outputs[:3] == [1, 2, 3]
    assert sorted(outputs[3:]) == sorted(f"end of {mark.name}" for mark in tmp_path.iterdir())


# What replicas share, and what stays as it is.


def test_preload_is_called_once_for_all_replicas(where: Runtime, tmp_path: Path) -> None:
    """spec: IOP-20"""
    pipeline = Pipeline(Preloads(str(tmp_path), replicas=3), runtime=where)
    assert pipeline.run(list(range(60))) == list(range(60))
    assert len(list(tmp_path.iterdir())) == 1


def test_attributes_of_replicas_do_not_come_back(where: Runtime) -> None:
    """spec: IOP-20"""
    node = Marks(replicas=2)
    assert Pipeline(node, runtime=where).run(list(range(20))) == list(range(20))
    assert node.seen == 0


# What users see of it.


def test_explain_metrics_and_profile_have_all_replicas(where: Runtime, tmp_path: Path) -> None:
    """spec: IOP-35, NRA-13"""
    pipeline = Pipeline(Meeting(str(tmp_path), 2, name="meets", replicas=2), split, runtime=where)
    explained = pipeline.explain()
    assert explained["meets_0"].replicas == [0, 1]
    assert explained.workers == 3
    assert "cpython workers 0, 1" in str(explained)
    alone = Pipeline(Meeting(str(tmp_path), 2, name="meets", replicas=2), runtime=where)
    profile = alone.profile([1, 2, 3])
    assert profile.result == [1, 2, 3]
    pids = {int(mark.name) for mark in tmp_path.iterdir()}
    node = profile["meets_0"]
    assert set(node.replica_pids) == pids
    assert node.calls == 3
    assert all(str(pid) in str(profile) for pid in pids)
    spans = [event for event in profile.trace()["traceEvents"] if event["name"] == "meets_0"]
    assert {span["pid"] for span in spans if span["ph"] == "X"} == pids


# What cannot have replicas.


def _source() -> Any:
    node = Where(replicas=2)
    node.is_source = True
    return node


def _at_caller() -> Any:
    node = DataSinkNode()
    vars(node)["replicas"] = 2
    return node


def _streaming() -> Any:
    node = Counting(replicas=2)
    node.is_streaming = True
    return node


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (lambda: Sums(replicas=2), r"'Sums' has replicas=2 and keeps state"),
        (_streaming, r"'Counting' has replicas=2 and takes its items as pieces of one stream"),
        (_source, r"'Where' has replicas=2 and is a source"),
        (_at_caller, r"has replicas=2 and works in this process"),
        (lambda: MultiplyNode(3, replicas=2), r"replicas.* native node"),
        (
            lambda: Where(replicas=0),
            r"replicas .*'Where_0'.* 0 .* number of workers from 1 to 1000",
        ),
        (
            lambda: Where(replicas=-1),
            r"replicas .*'Where_0'.*-1 .* number of workers from 1 to 1000",
        ),
        (lambda: Where(replicas=9), r"'Where_0': each of its 9 replicas .* allows 4; raise it"),
        (
            lambda: Where(replicas="two"),
            r"replicas .*'Where_0'.* a whole number, got the text 'two'",
        ),
    ],
)
def test_what_cannot_have_replicas_is_refused_before_anything_runs(
    where: Runtime, node: Callable[[], Any], reason: str
) -> None:
    """spec: IOP-07"""
    with pytest.raises((ConfigurationError, ManifestError, RemoteMediaError), match=reason):
        Pipeline(node(), runtime=where).run([1])


def test_other_nodes_count_for_the_workers_that_replicas_may_have(where: Runtime) -> None:
    """spec: IOP-07"""
    with pytest.raises(RemoteMediaError, match="allows 4, of which other nodes need 1"):
        Pipeline(Where(replicas=4), split, runtime=where).run([1])


@pytest.mark.parametrize(
    ("node_type", "reason"),
    [("saved_nodes:Sums", "keeps state"), ("live_nodes:Endless", "is a source")],
)
def test_what_only_the_worker_knows_is_refused_when_it_opens(
    tmp_path: Path, node_type: str, reason: str
) -> None:
    """spec: IOP-07"""
    params = {"folder": str(tmp_path)}
    node = {"id": "n", "node_type": node_type, "params": params, "replicas": 2}
    manifest = json.dumps({"version": "v1", "nodes": [node]})
    with pytest.raises(RemoteMediaError, match=f"'n' has replicas and {reason}"):
        remotemedia_runtime.execute_pipeline_with_input(manifest, [1])


def test_a_manifest_has_the_fields() -> None:
    """spec: IOP-01"""
    node = {"id": "n", "node_type": "replica_nodes:Where", "replicas": 2, "replicas_ordered": False}
    manifest = json.dumps({"version": "v1", "nodes": [node]})
    number, pid = remotemedia_runtime.execute_pipeline_with_input(manifest, [5])["result"]
    assert number == 5
    assert pid != os.getpid()
