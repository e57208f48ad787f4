"""Classes that programs made for the original's node processes, and names for classes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import remotemedia
import remotemedia_runtime
from remotemedia import ManifestError, Node, Pipeline, RemoteMediaError, Runtime
from remotemedia.core import registered
from remotemedia.core.multiprocessing import (
    AudioMetadata,
    DataType,
    MultiprocessNode,
    NodeConfig,
    NodeStatus,
    RuntimeData,
    VideoMetadata,
    get_node_class,
    get_node_requirements,
    list_registered_nodes,
    python_requires,
    register_node,
)
from remotemedia.core.multiprocessing.data import (
    AudioFormat,
    ControlMessageMetadata,
    ControlMessageType,
    FileMetadata,
    TensorMetadata,
    TensorType,
    TextMetadata,
    VideoFormat,
)
from remotemedia.core.multiprocessing.node import HAS_RUNTIME_DATA
from remotemedia.core.node_serialization import (
    MAX_SERIALIZED_SIZE_BYTES,
    SerializationError,
    deserialize_node_from_ipc,
    serialize_node_for_ipc,
    validate_node_serializable,
)
from remotemedia.nodes import loader
from remotemedia.nodes.registration import (
    NodeRegistration,
    clear_registry,
    discover_and_register,
    export_to_json,
    export_to_rust,
    get_node_registration,
    get_registered_nodes,
    streaming_node,
)
from remotemedia.nodes.test_nodes import extract_data


@pytest.fixture(autouse=True)
def no_names_remain() -> Iterator[None]:
    yield
    clear_registry()
    loader.clear_loaded_nodes()
    registered.classes.clear()


@register_node("shouter")
@python_requires(["numpy>=1"])
class Shouter(MultiprocessNode):
    async def initialize(self) -> None:
        self.ready = True

    async def process(self, data: Any, /) -> Any:
        for word in data.as_text().split():
            yield RuntimeData.text(word.upper() + self.config.get("mark", "!"))

    async def cleanup(self) -> None:
        self.ready = False


def test_nodes_of_processes_run_as_all_nodes_do() -> None:
    config = NodeConfig("s", "shouter", {"mark": "?"}, log_level="debug")
    node = Shouter(config)
    assert (node.name, node.node_type, node.status) == ("s", "shouter", NodeStatus.IDLE)
    with Runtime("[workers]\nmax = 1\n") as runtime:
        for _ in range(2):
            outs = Pipeline(node, runtime=runtime).run(RuntimeData.text("a b"))
            assert [out.as_text() for out in outs] == ["A?", "B?"]
            assert Pipeline(lambda x: x, runtime=runtime).run(1) == 1
    assert Shouter({"node_id": "d", "params": {"mark": "."}}).config == {"mark": "."}
    assert Shouter(node_id="e").name == "e"
    assert HAS_RUNTIME_DATA


class Plain(MultiprocessNode):
    async def process(self, data: Any, /) -> Any:
        return data.as_text() * 2


def test_a_node_can_be_called_without_a_pipeline() -> None:
    assert Plain({}).process_sync("ab") == "abab"
    assert json.loads(Plain({}).process_sync({"a": 1})[:8]) == {"a": 1}


def test_registered_classes_are_found_by_name() -> None:
    register_node("shouter")(Shouter)
    assert get_node_class("shouter") is Shouter
    assert list_registered_nodes() == ["shouter"]
    assert get_node_requirements("shouter") == ["numpy>=1"]
    with pytest.raises(KeyError, match="registered: shouter"):
        get_node_class("other")


@pytest.mark.parametrize(
    "text", ["", "[", "[]", "{}", '{"nodes": [3]}', '{"nodes": [{"id": "n", "node_type": []}]}']
)
def test_faults_of_a_manifest_are_told_the_same_with_registered_classes(text: str) -> None:
    register_node("shouter")(Shouter)
    with pytest.raises(ManifestError, match=r"invalid manifest|JSON"):
        remotemedia_runtime.execute_pipeline_with_input(text, 1)


def test_manifests_name_registered_classes() -> None:
    @streaming_node("Thrice", multi_output=True, accepts=["number"], speed="high")
    class Three(Node):
        """Gives an item three times."""

        def __init__(self, times: int = 3) -> None:
            super().__init__()
            self.times = times

        def process(self, data: Any, /) -> Any:
            yield from [data] * self.times

    registration = get_node_registration("Thrice")
    assert isinstance(registration, NodeRegistration)
    assert get_registered_nodes() == {"Thrice": registration}
    assert (registration.metadata, registration.accepts) == ({"speed": "high"}, ["number"])
    assert json.loads(export_to_json())["nodes"][0]["description"] == "Gives an item three times."
    manifest = {
        "version": "v1",
        "nodes": [{"id": "n", "node_type": "Thrice", "params": {"times": 2}}],
    }
    assert Pipeline.from_dict(manifest).run(1) == [1, 1]
    text = json.dumps(manifest)
    assert remotemedia.execute_pipeline_with_input(text, 1)["result"] == [1, 1]
    discover_and_register()
    with pytest.raises(RemoteMediaError, match="module:Class"):
        export_to_rust()


def test_classes_of_files_are_registered(tmp_path: Path) -> None:
    file = tmp_path / "gain.py"
    file.write_text(
        "from remotemedia import Node\n"
        "class Gain(Node):\n"
        "    def process(self, data): return data * 10\n"
        "class Other(Node):\n"
        "    def process(self, data): return data\n"
    )
    made = remotemedia.register_python_node(str(file), node_class="Gain", category="audio")
    assert made["Gain"]["file_path"] == str(file)
    assert loader.get_node_class("Gain") is made["Gain"]["class"]
    assert loader.get_node_class("Other") is None
    manifest = {"version": "v1", "nodes": [{"id": "n", "node_type": "Gain"}]}
    assert Pipeline.from_dict(manifest).run(2) == 20
    config = tmp_path / "nodes.json"
    config.write_text('{"python_nodes": ["gain.py", {"path": "gain.py", "node_class": "Other"}]}')
    made = remotemedia.register_python_nodes_from_config(str(config))
    assert set(made) == {"Gain", "Other"} == set(remotemedia.get_loaded_nodes())
    with pytest.raises(ValueError, match="it has: Gain, Other"):
        remotemedia.register_python_node(str(file), node_class="Missing")
    with pytest.raises(FileNotFoundError):
        remotemedia.register_python_node(str(tmp_path / "none.py"))
    with pytest.raises(TypeError, match="no process method"):
        remotemedia.register_node_class(int)
    assert remotemedia.register_node_class(Plain, node_type="P")["node_type"] == "P"


class Heavy(Node):
    """Holds what cannot be pickled between initialize and cleanup."""

    def initialize(self) -> None:
        import threading

        super().initialize()
        self._lock = threading.Lock()

    def cleanup(self) -> None:
        super().cleanup()
        self._lock = None  # type: ignore[assignment]

    def process(self, data: Any, /) -> Any:
        return data + 1


def test_nodes_as_bytes() -> None:
    node = Heavy(name="h")
    node.initialize()
    assert not validate_node_serializable(node)
    again = deserialize_node_from_ipc(serialize_node_for_ipc(node))
    assert again.is_initialized
    assert again.process(1) == 2
    assert validate_node_serializable(node)
    node.config["lock"] = __import__("threading").Lock()
    with pytest.raises(SerializationError) as caught:
        serialize_node_for_ipc(node)
    assert caught.value.node_name == "h"
    assert "lock" in caught.value.reason
    assert caught.value.suggestion
    assert isinstance(caught.value, remotemedia.SerializationError)
    with pytest.raises(TypeError, match="not int"):
        serialize_node_for_ipc(3)  # type: ignore[arg-type]
    with pytest.raises(SerializationError, match="unknown"):
        deserialize_node_from_ipc(b"nonsense")
    assert MAX_SERIALIZED_SIZE_BYTES == 100 * 1024 * 1024


class Echo(Node):
    def process(self, data: Any, /) -> Any:
        return data


def same(made: RuntimeData) -> RuntimeData:
    """Through a worker and back."""
    out: RuntimeData = Pipeline(Echo()).run(made)
    assert (out.type, out.session_id, out.timestamp) == (made.type, made.session_id, made.timestamp)
    assert repr(out.metadata) == repr(made.metadata)
    return out


def test_values_with_a_kind_travel() -> None:
    samples = np.arange(48_000, dtype=np.float32)
    audio = same(RuntimeData.audio(samples, 48_000, channels=2, session_id="a"))
    assert isinstance(audio.metadata, AudioMetadata)
    assert (audio.metadata.duration_ms, audio.metadata.format) == (500, AudioFormat.F32)
    assert np.array_equal(audio.as_numpy(), samples)
    assert audio.size == samples.nbytes
    assert audio.is_audio()
    frame = same(RuntimeData.video(b"abc", 1, 1, VideoFormat.BGR))
    assert frame.is_video()
    assert isinstance(frame.metadata, VideoMetadata)
    assert frame.as_numpy().tolist() == [97, 98, 99]
    text = same(RuntimeData.text("ä", language="de"))
    assert (text.as_text(), text.size, text.data_type()) == ("ä", 2, "text")
    assert isinstance(text.metadata, TextMetadata)
    tensor = same(RuntimeData.tensor([[1.0, 2.0]], dtype=TensorType.F64))
    assert isinstance(tensor.metadata, TensorMetadata)
    assert tensor.metadata.shape == (1, 2)
    assert tensor.is_tensor()
    array = same(RuntimeData.numpy(samples[:3]))
    assert array.type is DataType.NUMPY


def test_files_and_control_messages() -> None:
    file = RuntimeData.file("/tmp/a.wav", mime_type="audio/wav", offset=1, length=2)
    assert isinstance(file.metadata, FileMetadata)
    assert (file.get_file_path(), file.metadata.offset, file.payload["length"]) == (
        "/tmp/a.wav",
        1,
        2,
    )
    assert file.is_file()
    assert FileMetadata.from_ipc("p", None, None, 3, None, None, None).size == 3
    assert RuntimeData(DataType.FILE, {"path": "p"}, "", 0.0).get_file_path() == "p"
    stop = RuntimeData.control_message(
        ControlMessageType.CANCEL_SPECULATION, "s", from_timestamp=1, to_timestamp=2
    )
    assert stop.is_cancellation()
    assert stop.is_control_message()
    read = ControlMessageMetadata.from_json(
        {"message_type": {"BatchHint": {"suggested_batch_size": 4}}, "metadata": {"a": 1}}
    )
    assert (read.suggested_batch_size, read.extra) == (4, {"a": 1})
    payload = json.dumps({"message_type": {"DeadlineWarning": {"deadline_us": 9}}}).encode()
    assert RuntimeData(DataType.CONTROL_MESSAGE, payload, "", 0.0).metadata.deadline_us == 9
    for wrong in (
        lambda: RuntimeData(DataType.AUDIO, samples_of := b"", "", 0.0),  # noqa: F841
        lambda: RuntimeData(DataType.FILE, b"", "", 0.0),
        lambda: RuntimeData(DataType.CONTROL_MESSAGE, 3, "", 0.0),
        lambda: ControlMessageMetadata.from_json({"message_type": {"Other": {}}}),
        lambda: RuntimeData.text("a").get_file_path(),
        lambda: RuntimeData.file("a").as_text(),
        lambda: RuntimeData.video([1], 1, 1),
    ):
        with pytest.raises(ValueError, match=" "):
            wrong()


def test_values_as_bytes_and_json() -> None:
    made = RuntimeData.json({"a": [1, 2]})
    assert made.is_json()
    assert extract_data(made) == made.as_json() == {"a": [1, 2]}
    assert extract_data(RuntimeData.text("plain")) == "plain"
    assert extract_data(5) == 5
    again = RuntimeData.from_bytes(made.to_bytes())
    assert again.as_json() == made.as_json()
    with pytest.raises(ValueError, match="not RuntimeData"):
        RuntimeData.from_bytes(b"\x80\x05K\x01.")
    assert RuntimeData(DataType.TEXT, "x", "", None).timestamp


def test_asyncio_programs_call_them_too() -> None:
    async def run() -> Any:
        return await Pipeline(Plain({"node_id": "p"})).run(RuntimeData.text("ab"))

    assert asyncio.run(run()) == "abab"
