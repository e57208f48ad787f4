"""`capture="on_error"` keeps failing items, and `remotemedia replay` runs them again."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from places import FIXTURES
from remotemedia import (
    Capture,
    ConfigurationError,
    NodeError,
    NodeTimeout,
    PassThroughNode,
    Pipeline,
    Runtime,
    WorkerCrashed,
    replay,
)
from seen_nodes import (
    Changes,
    Changing,
    Dies,
    FailsAtEnd,
    Hangs,
    HoldsLock,
    MakesRefusing,
    Many,
    Refusing,
    Third,
    ThirdOfAsync,
    ThirdOfGenerator,
)
from worker_programs import PROGRAMS, runtime


@pytest.fixture(params=PROGRAMS)
def one(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """A runtime with one worker, which has run another pipeline and an error before."""
    with runtime(request.param, "[workers]\nmax = 1\n[rustpython]\nmax = 1\n") as where:
        assert Pipeline(Many(), runtime=where).run(2) == [0, 1]
        with pytest.raises(NodeError):
            Pipeline(Third(1), runtime=where).run(0)
        yield where


def _kept(folder: Path) -> list[Path]:
    """The captures in a folder, which has nothing else."""
    found = sorted(folder.iterdir())
    assert all(path.name.endswith(".capture") for path in found), found
    return found


def _loaded(path: Path) -> tuple[dict[str, Any], Any, Any, dict[str, Any]]:
    head, pickle = replay.read(path)
    node, item, state = replay.load(head, pickle)
    return head, node, item, state


@pytest.fixture(autouse=True)
def _own_path() -> Iterator[None]:
    """`replay.load` changes the path and the arguments of its process."""
    path, argv = [*sys.path], [*sys.argv]
    yield
    sys.path[:], sys.argv[:] = path, argv


@pytest.mark.parametrize("kind", [Third, ThirdOfGenerator, ThirdOfAsync])
def test_a_failing_item_is_kept_with_its_node_and_replayed(
    one: Runtime, tmp_path: Path, kind: type[Third], capsys: pytest.CaptureFixture[str]
) -> None:
    items = [{"n": 1}, {"n": 2}, {"n": 3, "audio": (np.arange(9, dtype=np.float32), 16000)}]
    pipeline = Pipeline([PassThroughNode(), kind()], runtime=one, capture=Capture(tmp_path))
    with pytest.raises(NodeError) as failed:
        pipeline.run(items)
    (path,) = _kept(tmp_path)
    assert failed.value.capture == str(path)  # type: ignore[attr-defined]
    assert f"remotemedia replay {path}" in failed.value.__notes__[-1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    head, node, (item,), state = _loaded(path)
    assert head["operation"] == "process"
    assert head["class"].endswith(kind.__name__)
    assert head["error"]["type"] == "ValueError"
    assert head["error"]["traceback"].startswith("Traceback")
    assert type(node) is kind
    assert node.divisor == 3
    assert item["n"] == 3
    assert np.array_equal(item["audio"][0], items[2]["audio"][0])  # type: ignore[index]
    assert [seen["n"] for seen in state["seen"] if "n" in seen] in ([1, 2], [])
    assert len(state["seen"]) == 2, "the state before the call, not after it"
    assert replay.main([str(path)]) == replay.FAILED
    out, err = capsys.readouterr()
    assert "it had failed with ValueError: 3 is too much" in out
    assert "ValueError: 3 is too much" in err
    assert "seen_nodes.py" in err


def test_an_item_is_kept_as_it_was_before_its_node_changed_it(one: Runtime, tmp_path: Path) -> None:
    audio = np.ones(5000, np.float32)
    with pytest.raises(NodeError, match="changed it"):
        Pipeline([Changes()], runtime=one).run(audio.copy(), capture=Capture(tmp_path))
    (path,) = _kept(tmp_path)
    _, _, (item,), _ = _loaded(path)
    assert np.array_equal(item, audio)


@pytest.mark.parametrize(
    "change",
    ["none", "count", "type", "few", "table", "key", "empty", "nested", "add", "rename"],
)
def test_the_state_is_that_of_the_moment(one: Runtime, tmp_path: Path, change: str) -> None:
    """Attributes are pickled again only when they may have changed; here one does."""
    with Pipeline(Changing(), runtime=one).session(capture=Capture(tmp_path)) as session:
        for item in ("none", change, "none"):
            assert session.process(item) == []
        with pytest.raises(NodeError) as failed:
            session.process("fail")
    (path,) = _kept(tmp_path)
    _, _, _, state = _loaded(path)
    told = ast.literal_eval(str(failed.value.remote_message))
    assert {name: state[name] for name in told} == told
    assert type(state.get("flag")) is type(told.get("flag"))


ARRAYS: dict[str, Any] = {
    "plain": np.arange(6, dtype=np.float32),
    "large": np.arange(40_000, dtype=np.float64).reshape(2, -1),
    "columns first": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "every second": np.arange(12)[::2],
    "empty": np.zeros((0, 3)),
    "one number": np.array(3.5),
    "dates": np.array(["2026-11-30"], "datetime64[D]"),
    "records": np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]),
    "objects": np.array([{"a": 1}, None]),
}


def test_arrays_are_kept_exactly(tmp_path: Path) -> None:
    items: list[Any] = [*ARRAYS.values(), *(2 * array for array in list(ARRAYS.values())[:2])]
    items += [(ARRAYS["plain"], 16000), [ARRAYS["large"]] * 2, {"a": ARRAYS["plain"]}]
    capture = Capture(tmp_path, max_files=1)
    with Runtime() as one, Pipeline(Refusing(), runtime=one).session(capture=capture) as session:
        for number, item in enumerate(items):
            with pytest.raises(NodeError) as failed:
                session.process(item)
            path = Path(failed.value.capture)  # type: ignore[attr-defined]
            _, _, (kept,), _ = _loaded(path)
            for array, wanted in zip(_arrays(kept), _arrays(item), strict=True):
                assert array.dtype == wanted.dtype, number
                np.testing.assert_array_equal(array, wanted)
                assert array.flags.writeable


def _arrays(item: Any) -> list[Any]:
    parts = [*item.values()] if isinstance(item, dict) else item
    parts = parts if isinstance(parts, tuple | list) else [parts]
    return [part for part in parts if isinstance(part, np.ndarray)]


def test_a_crash_and_a_deadline_keep_their_items(one: Runtime, tmp_path: Path) -> None:
    dies = Pipeline([PassThroughNode(), Dies()], runtime=one, capture=Capture(tmp_path))
    with pytest.raises(WorkerCrashed):
        dies.run(["a", 9])
    hangs = Pipeline([Hangs(timeout_ms=100)], runtime=one, capture=Capture(tmp_path))
    with pytest.raises(NodeTimeout):
        hangs.run(["a", "hang"])
    items = {_loaded(path)[0]["node_id"]: _loaded(path)[2] for path in _kept(tmp_path)}
    assert items == {"Dies_1": (9,), "Hangs_0": ("hang",)}


def test_a_failing_flush_is_kept(one: Runtime, tmp_path: Path) -> None:
    with pytest.raises(NodeError):
        Pipeline([FailsAtEnd()], runtime=one).run([1, 2], capture=Capture(tmp_path))
    (path,) = _kept(tmp_path)
    head, _, item, state = _loaded(path)
    assert (head["operation"], item, state["count"]) == ("flush", (), 2)
    assert replay.main([str(path)]) == replay.FAILED


def test_attributes_that_cannot_be_pickled_are_made_again(
    one: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NodeError):
        Pipeline([HoldsLock()], runtime=one).run([1, 2, 0], capture=Capture(tmp_path))
    (path,) = _kept(tmp_path)
    head, _, _, state = _loaded(path)
    assert list(head["left"]) == ["lock"]
    assert state["calls"] == 2
    assert replay.main([str(path)]) == replay.FAILED
    assert "its attribute lock is not in the capture" in capsys.readouterr().out


def test_sessions_and_streams_keep_each_failing_item(one: Runtime, tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    streamed = Pipeline([Third(2)], runtime=one).stream([1, 2, 3], on_error="skip", capture=capture)
    assert list(streamed) == [1, 3]
    with Pipeline([Third(2)], runtime=one, capture=capture).session() as session:
        session.process(4)
        with pytest.raises(NodeError):
            session.process(5)
        assert session.process(6) == [6]

    async def awaited() -> None:
        with pytest.raises(NodeError):
            await Pipeline([Third(2)], runtime=one).run([7, 8], capture=capture)

    asyncio.run(awaited())
    assert sorted(_loaded(path)[2] for path in _kept(tmp_path)) == [(2,), (5,), (8,)]


def test_the_number_and_the_size_of_captures_are_bounded(
    one: Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    capture = Capture(tmp_path, max_files=2, max_bytes=10_000)
    for number in range(4):
        with pytest.raises(NodeError):
            Pipeline([Third(1)], runtime=one, capture=capture).run(number)
    assert sorted(_loaded(path)[2] for path in _kept(tmp_path)) == [(2,), (3,)]
    with pytest.raises(NodeError) as failed:
        Pipeline([Third(1)], runtime=one, capture=capture).run(bytes(20_000))
    assert not hasattr(failed.value, "capture")
    assert "is not kept: its pickle is larger than 10000 bytes" in caplog.text
    assert len(_kept(tmp_path)) == 2


def test_what_cannot_be_captured_changes_no_run(one: Runtime, tmp_path: Path) -> None:
    chain = Pipeline([MakesRefusing(), Third(1)], runtime=one, capture=Capture(tmp_path))
    with pytest.raises(NodeError):
        chain.run(1)
    assert _kept(tmp_path) == []
    with pytest.raises(ConfigurationError, match="on_error"):
        Pipeline([Third(1)], runtime=one).run(1, capture="always")  # type: ignore[arg-type]


def test_runs_that_end_well_leave_nothing(one: Runtime, tmp_path: Path) -> None:
    pipeline = Pipeline([PassThroughNode(), Third(), Many()], runtime=one)
    assert pipeline.run([1, 2], capture=Capture(tmp_path / "new")) == [0, 0, 1]
    assert _kept(tmp_path / "new") == []


def test_notes_of_a_program_that_was_killed_are_removed(one: Runtime, tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    left = tmp_path / f".call-{ended.stdout.strip()}-0123456789ab-Third_0.now"
    left.write_bytes(b"x")
    own = tmp_path / f".call-{os.getpid()}-0123456789ab-Third_0.now"
    own.write_bytes(b"x")
    Pipeline([Third()], runtime=one).run(1, capture=Capture(tmp_path))
    assert [*tmp_path.iterdir()] == [own]


SCRIPT = """
from remotemedia import Capture, Node, NodeError, Pipeline

class Item:
    def __init__(self, value):
        self.value = value

class Divides(Node):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def process(self, item):
        return Item(self.by // item.value)

try:
    Pipeline(Divides(8)).run(Item(0), capture="on_error")
except NodeError as error:
    print(error.capture)
"""


@pytest.fixture
def captured(tmp_path: Path) -> Path:
    """The capture of a script's own class."""
    (tmp_path / "job.py").write_text(SCRIPT)
    ran = subprocess.run(
        [sys.executable, "job.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    path = Path(ran.stdout.strip())
    assert path.parent == tmp_path / "remotemedia-captures"
    return path


def _replay(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "remotemedia", "replay", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_replays_classes_of_a_script(captured: Path) -> None:
    done = _replay(str(captured))
    assert done.returncode == 1
    assert "process of node Divides_0 (__main__:Divides)" in done.stdout
    assert 'job.py", line 14, in process' in done.stderr
    assert "ZeroDivisionError" in done.stderr
    shown = _replay("--show", str(captured))
    assert (shown.returncode, shown.stderr) == (0, "")


def test_the_command_debugs_it(captured: Path) -> None:
    done = _replay("--pdb", str(captured), stdin="p self.by, item.value\nc\np self.by\nq\n")
    assert "job.py(14)process()" in done.stdout, done.stdout + done.stderr
    assert "(8, 0)" in done.stdout
    assert done.stdout.count("job.py(14)process()") == 2, "at the begin and after the error"
    assert "ZeroDivisionError" in done.stderr + done.stdout
    fixed = _replay("--pdb", str(captured), stdin="item.value = 2\nc\n")
    assert "it ended well, with 1 outputs" in fixed.stdout


def test_the_command_refuses_other_files(tmp_path: Path, captured: Path) -> None:
    other = tmp_path / "other"
    other.write_text("{}")
    for path, reason in [(other, "no capture"), (tmp_path / "missing", "No such file")]:
        done = _replay(str(path))
        assert (done.returncode, done.stdout) == (2, "")
        assert reason in done.stderr
    cut = tmp_path / "cut"
    cut.write_bytes(captured.read_bytes()[:-40])
    done = _replay(str(cut))
    assert done.returncode == 2
    assert "cannot be loaded" in done.stderr


def test_a_capture_is_read_without_running_its_code(captured: Path) -> None:
    head, pickle = replay.read(captured)
    assert head["node_id"] == "Divides_0"
    assert head["sys_path"][0] == str(captured.parents[1])
    assert json.loads(json.dumps(head)) == head
    assert pickle


def test_the_folder_of_modules_is_found_again(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(FIXTURES)!r})\n"
        "from seen_nodes import Third\n"
        "from remotemedia import NodeError, Pipeline\n"
        "try:\n"
        "    Pipeline(Third(1)).run(5, capture='on_error')\n"
        "except NodeError as error:\n"
        "    print(error.capture)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    done = _replay(ran.stdout.strip())
    assert "ValueError: 1 is too much: 5" in done.stderr
