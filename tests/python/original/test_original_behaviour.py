"""What the original SDK's nodes and classes do, where programs rely on it.

Runs go through one worker, again and again, with another pipeline in between (`warm`).
"""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import remotemedia
from remotemedia import (
    AudioBuffer,
    AudioResampleNode,
    AudioResampler,
    BufferNode,
    CalculatorNode,
    ConfigurationError,
    DataSinkNode,
    DataSourceNode,
    FormatConverterNode,
    FunctionNode,
    ManifestError,
    Node,
    PassThroughNode,
    Pipeline,
    PipelineError,
    Runtime,
    StatefulCounter,
    TextProcessorNode,
    TextTransformNode,
    VADNode,
    VoiceActivityDetector,
)
from remotemedia.core.node import (  # type: ignore[attr-defined]
    RemoteExecutorConfig,
    SessionState,
    StateManager,
)
from remotemedia.core.pipeline_registry import (
    PipelineMetrics,
    PipelineRegistry,
    RegisteredPipeline,
    get_global_registry,
)
from remotemedia.nodes import (
    BatcherNode,
    BidirectionalNode,
    ChainedTransformNode,
    CodeExecutorNode,
    ConditionalExpanderNode,
    CounterNode,
    DataTransform,
    ErrorProneNode,
    ExpanderNode,
    FilterNode,
    FormatConverter,
    JavaScriptBridgeNode,
    RangeGeneratorNode,
    SerializedClassExecutorNode,
    TransformAndExpandNode,
)
from remotemedia.nodes.audio import AudioTransform, ExtractAudioDataNode
from remotemedia.serialization import JSONSerializer, PickleSerializer, Serializer
from remotemedia.utils import setup_logging

Warm = Callable[..., Any]


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime("[workers]\nmax = 1\n") as made:
        yield made


@pytest.fixture
def warm(runtime: Runtime) -> Warm:
    """Runs a pipeline of new nodes twice in one worker, with another in between."""

    def run(make: Callable[[], Any], data: Any) -> Any:
        def once() -> Any:
            return Pipeline(make(), runtime=runtime).run(data)

        first = once()
        assert Pipeline(lambda x: x + 1, runtime=runtime).run(1) == 2
        second = once()
        assert repr(first) == repr(second)
        return first

    return run


def tone(samples: int = 4800, channels: int = 1, scale: float = 0.5) -> Any:
    row = (scale * np.sin(np.arange(samples) / 5)).astype(np.float32)
    return np.tile(row, (channels, 1))


# Nodes.


def test_counters_begin_at_their_initial_value(warm: Warm) -> None:
    assert warm(lambda: StatefulCounter(5), ["a", "b", "c"]) == [(5,), (6,), (7,)]


def test_buffers_show_what_waits() -> None:
    node = BufferNode(3)
    node.process(1)
    assert node.buffer == [1]
    assert node.flush() == [1]
    assert node.buffer == []


def test_nodes_name_their_operations() -> None:
    assert "power" in CalculatorNode().get_supported_operations()
    assert "reverse" in TextProcessorNode().get_supported_operations()
    assert AudioTransform(8000, 1).config == {"output_sample_rate": 8000, "output_channels": 1}


@pytest.mark.parametrize("key", ["data", "audio_data"])
def test_audio_as_a_dict_with_either_key(warm: Warm, key: str) -> None:
    # spec: DSG-25
    item = {key: tone(), "sample_rate": 48_000}
    out = warm(lambda: AudioResampleNode(16_000), item)
    assert set(out) == {key, "sample_rate"}
    assert out["sample_rate"] == 16_000
    assert out[key].shape == (1, 1600)
    assert warm(lambda: VADNode(energy_threshold=0.01), item)["is_speech"] is True
    assert warm(lambda: AudioTransform(16_000, 1), item)[1] == 16_000


def test_audio_as_a_list(warm: Warm) -> None:
    item = [[tone(), 48_000]]
    array, rate = warm(lambda: AudioResampleNode(16_000), item)
    assert (array.shape, rate) == ((1, 1600), 16_000)
    array, rate = warm(lambda: AudioTransform(16_000, 2), item)
    assert (array.shape, rate) == ((2, 1600), 16_000)
    assert warm(ExtractAudioDataNode, item).shape == (4800,)


def test_resampler_under_its_old_name(warm: Warm) -> None:
    array, rate = warm(lambda: AudioResampler(target_sample_rate=24_000), (tone(), 48_000))
    assert (array.shape, rate) == ((1, 2400), 24_000)
    entry = AudioResampler().to_manifest()
    assert (entry["node_type"], entry["params"]["target_rate"]) == ("AudioResampleNode", 44_100)


def test_thresholds_of_vad_in_all_forms() -> None:
    assert VADNode(threshold=0.01).threshold_db == pytest.approx(-40)
    assert VADNode(threshold=-20).native_params()["threshold"] == -20
    assert VADNode(energy_threshold=0.0001).native_params()["energy_threshold"] == pytest.approx(
        1e-4
    )
    assert VADNode(energy_threshold=0).native_params()["energy_threshold"] == 0
    with pytest.raises(ConfigurationError, match="linear RMS"):
        VADNode(energy_threshold=-0.1)


def test_a_threshold_of_nothing_finds_speech_in_everything(warm: Warm) -> None:
    quiet = (tone(48_000, scale=1e-5), 16_000)
    assert warm(lambda: VADNode(energy_threshold=0.0), quiet)[2]["is_speech"] is True
    assert warm(lambda: VADNode(threshold=0.02), quiet)[2]["is_speech"] is False


def test_formats_in_upper_case(warm: Warm) -> None:
    array, _ = warm(lambda: FormatConverterNode("I16"), (tone(), 16_000))
    assert array.dtype == np.int16


def test_steady_speech_is_speech_from_its_first_item(warm: Warm) -> None:
    items = [(tone(4800), 16_000, {"speaker": "a"})] * 3
    outs = warm(VoiceActivityDetector, items)
    assert outs[0][1]["is_speech"] is True
    assert outs[0][1]["speaker"] == "a"
    assert len(outs[0][0]) == 2


def test_audio_buffers_keep_dtypes_and_end_a_chunk_where_the_rate_changes(warm: Warm) -> None:
    a = np.arange(6, dtype=np.int16).reshape(1, 6)
    outs = warm(lambda: AudioBuffer(4), [(a, 8000), (a, 16_000), (a.astype(np.float32), 16_000)])
    assert [(out.shape[1], out.dtype.name, rate) for out, rate in outs] == [
        (4, "int16", 8000),
        (2, "int16", 8000),
        (4, "int16", 16_000),
        (2, "int16", 16_000),
        (4, "float32", 16_000),
        (2, "float32", 16_000),
    ]


def test_code_of_items_runs_in_the_worker(warm: Warm) -> None:
    code = "result = sum(range(input_data))\n"
    out = warm(CodeExecutorNode, {"code": code, "input": 5})
    assert (out["result"], out["input"], out["executed_code"]) == (10, 5, code)
    out = warm(lambda: CodeExecutorNode("result = math.floor(2.7)", enable_safe_imports=True), {})
    assert out["result"] == 2
    assert "warning" in CodeExecutorNode().get_security_info()
    with pytest.raises(TypeError, match="no code"):
        CodeExecutorNode().process(None)


class Tally:
    """An object whose class the program defines."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, number: int, times: int = 1) -> int:
        self.count += number * times
        return self.count


def test_methods_of_pickled_objects_are_called(warm: Warm) -> None:
    import base64

    packed = base64.b64encode(PickleSerializer().serialize(Tally())).decode()
    item = {"serialized_object": packed, "method_name": "add", "method_args": [2]}
    out = warm(SerializedClassExecutorNode, {**item, "method_kwargs": {"times": 3}})
    assert out["result"] == 6
    changed = PickleSerializer().deserialize(base64.b64decode(out["updated_serialized_object"]))
    assert changed.count == 6
    node = SerializedClassExecutorNode()
    assert node.get_security_info()["serialization_method"] == "cloudpickle"
    with pytest.raises(AttributeError):
        node.process({**item, "method_name": "missing"})
    with pytest.raises(ValueError, match="cannot be loaded"):
        node.process({**item, "serialized_object": "AAAA"})


async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value * 2


def test_bridges_apply_both_functions(warm: Warm) -> None:
    # spec: DSG-25
    assert warm(lambda: JavaScriptBridgeNode(lambda x: x + 1, later), 3) == 8
    assert warm(JavaScriptBridgeNode, 3) == 3


def test_nodes_that_only_have_a_name_pass_items_on(warm: Warm) -> None:
    assert warm(DataTransform, {"a": 1}) == {"a": 1}
    assert warm(lambda: FormatConverter("json"), (1, 2)) == (1, 2)
    assert warm(lambda: TextTransformNode(str.upper), ("a", 1)) == ("A", 1)


def test_nodes_for_trying_out(warm: Warm) -> None:
    assert warm(lambda: ExpanderNode(2), [1, "a", {"value": 5}]) == [
        *(1, 2, "a_0", "a_1"),
        {"value": 5, "index": 0},
        {"value": 6, "index": 1},
    ]
    assert warm(lambda: FilterNode(2), [1, 2, {"value": 3}]) == [2, {"value": 3}]
    assert warm(lambda: BatcherNode(2), [1, 2, 3]) == {"batch": [1, 2], "size": 2}
    assert warm(RangeGeneratorNode, {"start": 1, "end": 6, "step": 2}) == [
        {"value": 1},
        {"value": 3},
        {"value": 5},
    ]
    assert warm(lambda: TransformAndExpandNode(["double", "reverse"]), "ab") == [
        {"text": "abab", "transform": "double"},
        {"text": "ba", "transform": "reverse"},
    ]
    assert warm(lambda: CounterNode(1), ["a", "b"])[1] == {"count": 3, "input": "b"}
    assert warm(ConditionalExpanderNode, -2) == [
        {"original": -2, "index": 0, "count": 2},
        {"original": -2, "index": 1, "count": 2},
    ]
    assert warm(lambda: ChainedTransformNode(False), 1) == {"stage": 3, "value": 144, "final": True}
    assert warm(ErrorProneNode, 1) == {"value": 1, "status": "ok"}
    with pytest.raises(remotemedia.NodeError, match="Error triggered by value: -1"):
        Pipeline(ErrorProneNode()).run(-1)


# Ends in the caller's program.


def test_pushing_says_whether_the_item_was_taken() -> None:
    source = DataSourceNode(buffer_size=1)
    assert source.push_data(1)
    assert not source.push_data(2)

    async def push() -> bool:
        return bool(await source.push_data(3))

    assert asyncio.run(push()) is False
    source.close()
    assert not source.push_data(4)
    assert Pipeline(source, lambda x: x).run() == 1


def test_an_idle_source_ends() -> None:
    source = DataSourceNode(timeout_seconds=0.01)
    source.push_data("only")
    assert Pipeline(source, lambda x: x).run() == "only"


def test_sinks_fill_queues_of_both_kinds() -> None:
    plain: queue.Queue[int] = queue.Queue()
    sink = DataSinkNode()
    sink.set_output_queue(plain)
    Pipeline(lambda x: x, sink).run([1, 2])
    assert [plain.get_nowait(), plain.get_nowait()] == [1, 2]

    async def take() -> list[int]:
        outputs: asyncio.Queue[int] = asyncio.Queue()
        sink.set_output_queue(outputs)
        waiting = asyncio.create_task(outputs.get())
        await Pipeline(lambda x: x, sink).run([3, 4])
        assert await sink.process(5) == 5
        return [await waiting, await outputs.get(), await outputs.get()]

    assert asyncio.run(take()) == [3, 4, 5]


def test_bidirectional_nodes_give_outputs_back() -> None:
    async def talk() -> list[Any]:
        node = BidirectionalNode(lambda x: x * 10 if x else None)
        pipeline = Pipeline(node, lambda x: x + 1)
        running = asyncio.ensure_future(pipeline.run())
        assert await node.push_input(1)
        first = await node.pull_output()
        await node.push_input(0)
        assert await node.pull_output(timeout=0.001) is None
        await node.push_input(2)
        second = await node.pull_output()
        await node.close()
        return [first, second, await running]

    assert asyncio.run(talk()) == [10, 20, [11, 21]]


# Pipelines.


class Double(Node):
    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.dependencies = ["numpy"]

    def process(self, data: Any, /) -> Any:
        return data * self.factor


def test_the_list_of_nodes_is_the_pipelines_own() -> None:
    pipeline = Pipeline(Double(name="a"))
    pipeline.nodes.append(Double(3, name="b"))
    assert pipeline.run(1) == 6
    pipeline.nodes[0] = Double(5, name="c")
    pipeline.nodes.insert(1, FunctionNode(lambda x: x + 1, name="d"))
    assert [node.name for node in pipeline.nodes] == ["c", "d", "b"]
    assert pipeline.run(1) == 18
    del pipeline.nodes[1]
    assert pipeline.run(1) == 15
    assert pipeline.nodes.pop().name == "b"
    assert pipeline.nodes == [pipeline.get_node("c")]
    assert pipeline.nodes[-1:] == list(pipeline.nodes)
    assert [*pipeline.nodes, 1] == pipeline.nodes + [1]  # noqa: RUF005
    pipeline.nodes.clear()
    pipeline.nodes += [Double(7)]
    assert pipeline.run(1) == 7


def test_a_loaded_pipeline_refuses_changes_of_the_list() -> None:
    async def change() -> None:
        async with Pipeline(PassThroughNode()).managed_execution() as pipeline:
            pipeline.nodes.append(PassThroughNode())

    with pytest.raises(PipelineError, match="initialised"):
        asyncio.run(change())


def test_what_cannot_begin_is_a_pipeline_error() -> None:
    with pytest.raises(PipelineError, match="no nodes"):
        asyncio.run(Pipeline().initialize())
    with pytest.raises(PipelineError, match="not a source"):
        Pipeline(PassThroughNode()).run()
    with pytest.raises(ValueError, match="not a source"):
        Pipeline(PassThroughNode()).run()


def test_definitions_make_node_objects_again() -> None:
    # spec: DSG-25
    pipeline = Pipeline(Double(3, name="first"), CalculatorNode("multiply", 4), name="p")
    definition = pipeline.export_definition()
    assert definition["name"] == "p"
    described = definition["nodes"][0]
    assert (described["node_id"], described["class_name"]) == ("first_0", "Double")
    assert described["config"] == {"factor": 3}
    assert definition["connections"][0]["from_node"] == "first_0"
    assert definition["dependencies"] == ["numpy", "remotemedia"]
    again = asyncio.run(Pipeline.from_definition(definition))
    assert isinstance(again.nodes[0], Double)
    assert again.run(2) == pipeline.run(2) == 24
    # As the original wrote it, without what was added since.
    old: dict[str, Any] = {
        "name": "old",
        "nodes": [
            {
                "node_id": "n_0",
                "node_type": "MultiplyNode",
                "config": {"factor": 3},
                "module": "remotemedia.nodes.simple_math",
                "class_name": "MultiplyNode",
                "is_streaming": False,
            },
            {"node_id": "n_1", "node_type": "AddNode", "config": {"addend": 1}},
        ],
        "connections": [],
    }
    assert asyncio.run(Pipeline.from_definition(old)).run(2) == 7
    with pytest.raises(PipelineError, match="n_0"):
        asyncio.run(Pipeline.from_definition({"nodes": [{**old["nodes"][0], "config": {"x": 1}}]}))


def test_settings_of_a_pipeline_have_the_old_keys() -> None:
    config = Pipeline(Double(), name="p").get_config()
    assert (config["node_count"], config["remote_node_count"]) == (1, 0)
    assert config["is_initialized"] is False
    assert Pipeline().logger.name.endswith("Pipeline")


def test_a_coroutine_of_a_run_where_no_loop_runs() -> None:
    assert asyncio.run(Pipeline(Double()).run_async(4)) == 8


def test_yaml_with_the_documented_keywords(tmp_path: Path) -> None:
    # spec: DSG-25
    pytest.importorskip("yaml")
    file = tmp_path / "p.yaml"
    file.write_text(
        "version: v1\nnodes:\n- {id: a, node_type: BufferNode, params: {buffer_size: 1}}\n"
    )
    pipeline = Pipeline.from_yaml(file, enable_metrics=True, runtime_hint="cpython")
    assert (pipeline.enable_metrics, pipeline.interpreter) == (True, "cpython")
    assert pipeline.run([7])[0] == [7]


def test_hosts_are_written_and_refused_when_run() -> None:
    class Remote(Double):
        remote_config = RemoteExecutorConfig("gpu", 50051, protocol="http")

    assert Remote().to_manifest()["host"] == "gpu:50051"


# State.


def test_state_of_sessions_as_before() -> None:
    state = SessionState("a")
    state.last_accessed = datetime.now() - timedelta(hours=1)
    state.update_access_time()
    assert datetime.now() - state.last_accessed < timedelta(minutes=1)
    manager = StateManager(timedelta(minutes=1), enable_persistence=True)
    manager.start_cleanup_task()
    manager.get_or_create_session("a").last_accessed -= timedelta(hours=2)
    assert manager.get_session("a") is None
    manager.stop_cleanup_task()


def test_pipelines_are_registered_and_run() -> None:
    # spec: DSG-25
    async def use() -> None:
        registry = get_global_registry()
        assert registry is get_global_registry()
        assert isinstance(registry, PipelineRegistry)
        definition = Pipeline(Double(4)).export_definition()
        pipeline_id = await registry.register_pipeline("four", definition, category="math")
        assert await registry.execute_pipeline(pipeline_id, 2) == 8
        assert registry.list_pipelines("math")[0]["name"] == "four"
        info = registry.get_pipeline_info(pipeline_id, True, include_metrics=True)
        assert info is not None
        assert info["metrics"]["total_executions"] == 1
        kept = registry.pipelines[pipeline_id]
        assert isinstance(kept, RegisteredPipeline)
        assert isinstance(kept.metrics, PipelineMetrics)
        assert kept.metrics.average_execution_time_ms > 0
        registry.create_streaming_session(pipeline_id, "s")
        assert registry.get_session_pipeline("s") == pipeline_id
        with pytest.raises(PipelineError, match="has failed"):
            await registry.execute_pipeline(pipeline_id, None)
        assert await registry.unregister_pipeline(pipeline_id)
        with pytest.raises(PipelineError, match="no pipeline is registered"):
            await registry.get_pipeline_instance(pipeline_id)

    asyncio.run(use())


# Small helpers.


def test_serializers(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"a": [1, 2.5, None, "é"]}
    for serializer in (JSONSerializer(), PickleSerializer()):
        assert isinstance(serializer, Serializer)
        assert serializer.deserialize(serializer.serialize(value)) == value
    assert PickleSerializer().deserialize(PickleSerializer().serialize((1, {2}))) == (1, {2})
    with pytest.raises(TypeError, match="cannot be pickled"):
        PickleSerializer().serialize({"lock": __import__("threading").Lock()})


def test_logging_is_set_up() -> None:
    import logging

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        setup_logging("warning", include_timestamp=False)
        assert root.level == logging.WARNING
        assert logging.getLogger("remotemedia").level == logging.WARNING
        with pytest.raises(ValueError, match="LOUD"):
            setup_logging("loud")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger("remotemedia").setLevel(logging.NOTSET)


# Leniency.


def test_unknown_keywords_are_kept_with_a_warning_where_asked() -> None:
    with pytest.raises(ConfigurationError, match="verbose"):
        CalculatorNode(verbose=True)
    with pytest.warns(UserWarning, match="'verbose'"):
        node = CalculatorNode("multiply", 3, verbose=True, strict=False)
    assert node.config["verbose"] is True
    CalculatorNode(verbose=True, strict=False)  # warns once only
    assert Pipeline(node).run(2) == 6


def test_unknown_fields_are_left_out_with_a_warning_where_asked() -> None:
    manifest = {
        "version": "v1",
        "runtime": {"packages": []},
        "nodes": [
            {"id": "a", "node_type": "MultiplyNode", "config": {"factor": 5, "odd": 1}, "gpu": 1}
        ],
    }
    with pytest.raises(ManifestError, match="unknown field"):
        Pipeline.from_dict(manifest).run(1)
    with pytest.warns(UserWarning, match="left out") as seen:
        assert Pipeline.from_dict(manifest, strict=False).run(2) == 10
    told = " ".join(str(one.message) for one in seen)
    assert all(word in told for word in ("manifest: runtime", "nodes[0].gpu", "odd"))
    text = json.dumps(manifest)
    with pytest.raises(ManifestError):
        remotemedia.validate_manifest(text)
    assert remotemedia.validate_manifest(manifest, strict=False)
    assert remotemedia.execute_pipeline_with_input(text, 2, strict=False)["result"] == 10


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ({"conections": []}, "conections: unknown field, did you mean 'connections'"),
        ({"metadata": {"nmae": "x"}}, "metadata.nmae: unknown field"),
        ({"connections": [{"from": "a", "to": "b", "port": 1}]}, r"connections\[0\].port"),
    ],
)
def test_a_misspelt_field_is_an_error_in_every_form_of_a_manifest(
    field: dict[str, Any], told: str
) -> None:
    """spec: NRA-16, DSG-02"""
    nodes = [{"id": name, "node_type": "PassThroughNode"} for name in "ab"]
    manifest = {"version": "v1", "nodes": nodes, **field}
    for read in (
        lambda: Pipeline.from_dict(manifest),
        lambda: Pipeline.from_json(json.dumps(manifest)),
        lambda: remotemedia.execute_pipeline_with_input(manifest, 1),
        lambda: remotemedia.execute_pipeline_with_input(json.dumps(manifest), 1),
    ):
        with pytest.raises(ManifestError, match=told):
            read()


@pytest.mark.parametrize("hint", ["cpython_wasm", "WASM"])
def test_hints_of_older_versions(hint: str) -> None:
    assert Pipeline(Double(runtime_hint=hint)).run(2) == 4
    assert Pipeline(Double(), runtime=hint).explain()["Double_0"].runtime == "cpython"


# Errors.


def test_errors_of_the_original_are_made_and_caught_as_before() -> None:
    from remotemedia.core import RemoteExecutionError, RemoteMediaError, SerializationError
    from remotemedia.core import WebRTCError as FromCore
    from remotemedia.core.exceptions import WebRTCError

    assert FromCore is WebRTCError
    error = RemoteExecutionError("far away", "Traceback ...")
    assert (str(error), error.remote_traceback) == ("far away", "Traceback ...")
    kinds = (
        *(RemoteExecutionError, SerializationError, WebRTCError, ConfigurationError),
        *(PipelineError, remotemedia.NodeError),
    )
    for kind in kinds:
        with pytest.raises(RemoteMediaError, match="told"):
            raise kind("told")
