"""`Node` and the SDK's node classes."""

from __future__ import annotations

import asyncio
import json
import pickle
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from remotemedia import (
    AddNode,
    AudioResampleNode,
    BufferNode,
    CalculatorNode,
    ConfigurationError,
    FormatConverterNode,
    ManifestError,
    MultiplyNode,
    Node,
    PassThroughNode,
    Pipeline,
    SerializationError,
    TextProcessorNode,
    TextTransformNode,
    VADNode,
)


class Bare(Node):
    """Does not call the base's constructor."""

    def __init__(self, gain: float = 2.0) -> None:
        self.gain = gain

    def process(self, data: Any, /) -> Any:
        return data * self.gain


class Slotted(Node):
    __slots__ = ("__seen", "absent", "limit")

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit, self.__seen = limit, 0

    def process(self, data: Any, /) -> Any:
        self.__seen += 1
        return [data + self.limit, self.__seen]


class Slow(Node):
    timeout_ms = 500
    isolated = True

    async def initialize(self) -> None:
        await super().initialize()
        self.ready = True

    def process(self, data: Any, /) -> Any:
        return data


def test_a_node_that_skips_the_base_constructor_has_all_defaults() -> None:
    node = Bare(3.0)
    assert node.name == "Bare"
    assert node.config == {}
    assert node.timeout_ms is None
    assert not node.is_initialized
    assert node.logger.name.endswith("Bare")
    assert node.state is not None
    assert node.to_manifest()["params"] == {"gain": 3.0}


def test_initialize_may_be_awaited_or_called() -> None:
    slow = Slow()
    asyncio.run(slow.initialize())
    assert slow.ready
    assert slow.is_initialized
    bare = Bare()
    assert bare.initialize() is None
    assert bare.is_initialized
    assert bare.cleanup() is None
    assert not bare.is_initialized


def test_keywords_set_attributes_or_go_into_config() -> None:
    class Plain(Node):
        def process(self, data: Any, /) -> Any:
            return data

    node = Plain("x", timeout_ms=20, isolated=True, join="zip", is_streaming=True, extra=1)
    assert (node.name, node.timeout_ms, node.isolated, node.join) == ("x", 20, True, "zip")
    assert node.config == {"extra": 1}
    entry = node.to_manifest()
    assert entry["id"] == "x"
    assert entry["timeout_ms"] == 20
    assert entry["isolated"] is True
    assert entry["join"] == "zip"
    assert entry["is_streaming"] is True
    assert entry["params"] == {"extra": 1}


def test_attributes_of_the_class_reach_the_manifest() -> None:
    entry = Slow().to_manifest()
    assert entry["timeout_ms"] == 500
    assert entry["isolated"] is True


def test_pickling_leaves_logger_and_state_behind() -> None:
    # spec: IOP-20
    node = Bare(5.0)
    node.logger.debug("made")
    assert node.state is not None
    node.initialize()
    copy = pickle.loads(pickle.dumps(node))
    assert copy.gain == 5.0
    assert not copy.is_initialized
    assert "logger" not in vars(copy)
    assert "state" not in vars(copy)


def test_session_state_is_kept_per_id() -> None:
    node = Bare()
    assert node.get_session_state() is None
    node.set_session_id("a")
    state = node.get_session_state()
    assert state is not None
    state.set("n", 1)
    again, other = node.get_session_state("a"), node.get_session_state("b")
    assert again is not None
    assert other is not None
    assert again.get("n") == 1
    assert other.get("n") is None


def test_state_can_be_switched_off() -> None:
    node = AddNode(enable_state=False)
    assert node.state is None
    assert node.get_session_state("a") is None


def test_metadata_is_split_and_merged() -> None:
    node = Bare()
    meta = {"session_id": "s"}
    assert node.split_data_metadata((1, 2, meta)) == ((1, 2), meta)
    assert node.split_data_metadata((1, meta)) == (1, meta)
    assert node.split_data_metadata((1, {"other": 1})) == ((1, {"other": 1}), None)
    assert node.merge_data_metadata((1, 2), meta) == (1, 2, meta)
    assert node.merge_data_metadata(1, None) == 1
    assert node.extract_session_id((1, meta)) == "s"
    assert node.extract_session_id({"session_id": "t"}) == "t"
    assert node.extract_session_id([1]) is None


@pytest.mark.parametrize("spelling", ["target_sample_rate", "target_rate", "output_rate"])
def test_every_spelling_of_the_target_rate_counts(spelling: str) -> None:
    # spec: NRA-16
    options: dict[str, Any] = {spelling: 8000}
    assert AudioResampleNode(**options).native_params()["target_rate"] == 8000


def test_two_spellings_must_agree() -> None:
    assert AudioResampleNode(8000, target_rate=8000).target_sample_rate == 8000
    with pytest.raises(ConfigurationError, match="spellings of one parameter"):
        AudioResampleNode(8000, target_rate=16000)
    with pytest.raises(ConfigurationError, match="not both"):
        VADNode(energy_threshold=0.1, threshold=-30)


def test_an_unknown_parameter_is_rejected_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"'target_rat' \(did you mean 'target_rate'\?\)"):
        AudioResampleNode(target_rat=16000)
    with pytest.raises(ConfigurationError, match="has no parameter 'zzzz'; its parameters"):
        PassThroughNode(zzzz=1)


def test_native_parameters_follow_the_attributes() -> None:
    node = MultiplyNode(multiplier=3)
    assert node.native_params() == {"factor": 3}
    node.factor = 4
    assert node.to_manifest()["params"] == {"factor": 4}
    assert CalculatorNode(operation="power", operand=2).config == {
        "operation": "power",
        "operand": 2,
    }


def test_the_linear_threshold_becomes_decibels() -> None:
    assert VADNode(energy_threshold=0.1).native_params()["threshold"] == pytest.approx(-20.0)
    assert VADNode(threshold=-20).energy_threshold == pytest.approx(0.1)
    assert VADNode().native_params()["threshold"] == -30.0
    assert VADNode().native_params()["method"] == "auto"
    assert VADNode(threshold=-30).native_params()["method"] == "energy"
    assert VADNode(threshold=-30, method="auto").native_params()["method"] == "auto"
    assert VADNode().native_params()["output"] == "tagged"
    assert "min_silence_ms" not in VADNode().native_params(), "its default depends on the method"
    assert VADNode(min_silence_ms=200).native_params()["min_silence_ms"] == 200
    with pytest.raises(ConfigurationError, match="linear RMS"):
        VADNode(energy_threshold=-30)


def test_an_unknown_format_is_rejected() -> None:
    with pytest.raises(ValueError, match="f32, f64, i16, i24, i32, u8, alaw, mulaw"):
        FormatConverterNode("f16")


def test_buffer_gives_full_lists_and_the_rest() -> None:
    node = BufferNode(buffer_size=2)
    assert [node.process(n) for n in (1, 2, 3)] == [None, [1, 2], None]
    assert node.flush() == [3]
    assert node.flush() == []
    with pytest.raises(ConfigurationError):
        BufferNode(0)


def test_text_operations() -> None:
    node = TextProcessorNode(name="t")
    done = node.process({"text": "one Two", "operations": ["reverse", "last_word", "shout"]})
    assert done["original_text"] == "one Two"
    assert done["results"]["reverse"] == "owT eno"
    assert done["results"]["last_word"] == "Two"
    assert "unknown_operation_shout" in done["results"]
    assert node.process({"text": "a b"})["results"] == {"uppercase": "A B"}
    assert node.process({"text": "", "operations": ["first_word"]})["results"]["first_word"] == ""
    with pytest.raises(TypeError, match="takes"):
        node.process("text")


def test_text_transform_keeps_the_rest_of_a_tuple() -> None:
    node = TextTransformNode(str.upper)
    assert node.process("a") == "A"
    assert node.process(("a", 1)) == ("A", 1)
    with pytest.raises(TypeError, match="takes a text"):
        node.process(1)


def test_a_parameter_without_json_form_is_named() -> None:
    with pytest.raises(SerializationError, match="'transform_func' of TextTransformNode") as caught:
        TextTransformNode(str.upper, name="shout").to_manifest()
    assert caught.value.node_id == "shout"
    assert caught.value.path == "params.transform_func"


def test_state_settings_reach_the_manager() -> None:
    node = AddNode(state_ttl=timedelta(seconds=5), max_sessions=3)
    assert node.state is not None
    assert node.state.default_ttl == timedelta(seconds=5)
    assert node.state.max_sessions == 3


def test_slots_travel_as_other_attributes_do() -> None:
    # spec: IOP-20
    copied = pickle.loads(pickle.dumps(Slotted(3)))
    assert (copied.name, copied.process(1)) == ("Slotted", [4, 1])
    assert not hasattr(copied, "absent")


@pytest.mark.parametrize("runtime", ["cpython", "rustpython"])
def test_slots_reach_the_worker_and_come_back(runtime: str) -> None:
    # spec: IOP-20
    node = Slotted(3)
    pipeline = Pipeline(node)
    assert pipeline.run_sync([1], runtime=runtime, fallback=False) == [4, 1]
    assert pipeline.run_sync([1], runtime=runtime, fallback=False) == [4, 2]


class Answers:
    """Answers for every attribute, as mocks and proxies do."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Answers()

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        return None

    def process(self, data: int) -> int:
        return data + 1


def test_a_node_that_answers_for_every_attribute_is_a_plain_node() -> None:
    pipeline = Pipeline(Answers())
    assert pipeline.run_sync(1) == 2
    assert pipeline.run_sync([1, 2]) == [2, 3]
    (entry,) = json.loads(pipeline.serialize())["nodes"]
    assert set(entry) == {"id", "node_type", "params"}
    # What was set and is wrong is still told.
    wrong = Answers()
    wrong.timeout_ms = "500"  # type: ignore[attr-defined]
    with pytest.raises(ManifestError, match="timeout_ms"):
        Pipeline(wrong).run_sync(1)


class Scales(Node):
    """Multiplies by a number of any kind."""

    def __init__(self, factor: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def process(self, data: float) -> float:
        return data * self.factor


@pytest.mark.parametrize("factor", [float("inf"), float("-inf"), float("nan")])
def test_a_parameter_that_no_json_can_hold_is_named(factor: float) -> None:
    # spec: FFI-14
    assert repr(Pipeline(Scales(factor)).run_sync(2.0)) == repr(factor * 2)
    entry = {"node_type": "MultiplyNode", "params": {"factor": factor}}
    for pipeline in (Pipeline(MultiplyNode(factor)), Pipeline(entry)):
        for act in (lambda p=pipeline: p.run_sync(2.0), pipeline.serialize):
            with pytest.raises(SerializationError, match="'factor'"):
                act()
    with pytest.raises(SerializationError, match="'factor'"):
        Pipeline(Scales(factor)).serialize()
    with pytest.raises(SerializationError, match="'factor'"):
        MultiplyNode(factor).process(2.0)
    with pytest.raises(ValueError, match="timeout_ms"):
        Pipeline(Scales(1, timeout_ms=factor)).run_sync(1)


class Configured(Node):
    """Has values on the class under names of the base's attributes."""

    config: ClassVar = {"gain": 2}
    state: ClassVar = [1]  # type: ignore[assignment]
    enable_state = False
    name = "its own"

    def process(self, data: Any, /) -> Any:
        return data, self.config, self.state, self.enable_state, self.name


class Settings:
    gain = 3


class ConfiguredOtherwise(Node):
    config = Settings  # type: ignore[assignment]

    def process(self, data: Any, /) -> Any:
        return self.config.gain


def test_attributes_of_a_class_are_not_replaced_by_those_of_the_base() -> None:
    """spec: IOP-20"""
    kept = (1, {"gain": 2}, [1], False, "its own")
    assert Pipeline(Configured()).run(1) == Pipeline(Configured()).run(1, use_rust=False) == kept
    assert Configured(gain=5, more=1).config == {"gain": 5, "more": 1}
    assert Configured(enable_state=True).enable_state is True
    assert Configured.config == {"gain": 2}
    assert Pipeline(ConfiguredOtherwise()).run(1) == 3
    with pytest.raises(TypeError, match="no place for the keyword arguments 'gain'"):
        ConfiguredOtherwise(gain=4)
