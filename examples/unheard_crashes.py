"""A live stream whose workers are killed again and again, without being heard.

    python examples/unheard_crashes.py [--seconds 6] [--crashes 6] [--seed 1] [--out FOLDER]

A recording goes frame by frame, 20 ms each at its own pace, through three nodes in workers of their
own. Each node keeps state and saves it (`checkpoint`, `restore`), and has a second worker that
stands by. Meanwhile workers are killed at random moments. At the end two files lie side by side:
`original.wav`, what the nodes make of the recording when nothing dies, and `heard.wav`, what came
out in time.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np

from remotemedia import Node, Pipeline, Runtime, read_audio

RECORDING = Path(__file__).parent / "recordings" / "speech_48k.flac"
RATE_HZ = 48_000
FRAME_SAMPLES = 960
FRAME_SECONDS = FRAME_SAMPLES / RATE_HZ


class Stateful(Node):
    """Saves its attribute `memory`."""

    def __init__(self) -> None:
        super().__init__(isolated=True, standby=1, checkpoint_every=10, retry=True)
        self.memory: Any = None

    def checkpoint(self) -> Any:
        return self.memory

    def restore(self, state: Any) -> None:
        self.memory = state


class HighPass(Stateful):
    """A filter of first order: y[n] = 0.995 * (y[n-1] + x[n] - x[n-1])."""

    def process(self, frame: np.ndarray) -> np.ndarray:
        x, y = self.memory or (0.0, 0.0)
        out = np.empty_like(frame)
        for index, sample in enumerate(frame.tolist()):
            y = 0.995 * (y + sample - x)
            x = sample
            out[index] = y
        self.memory = (x, y)
        return out


class Levelled(Stateful):
    """Brings speech slowly to the same loudness."""

    def process(self, frame: np.ndarray) -> np.ndarray:
        loudness = 0.05 if self.memory is None else self.memory
        loudness += 0.02 * (float(np.sqrt(np.mean(frame**2))) - loudness)
        self.memory = loudness
        return frame * np.float32(min(4.0, 0.1 / max(loudness, 1e-3)))


class Echo(Stateful):
    """Adds the sound of 100 ms ago."""

    def process(self, frame: np.ndarray) -> np.ndarray:
        past = [np.zeros_like(frame)] * 5 if self.memory is None else self.memory
        out = frame + np.float32(0.3) * past[0]
        self.memory = [*past[1:], out]
        return np.clip(out, -1, 1)


def frames_of(seconds: float) -> list[np.ndarray]:
    """The recording in frames, from its beginning again when it is over."""
    samples, rate_hz = read_audio(RECORDING)
    assert rate_hz == RATE_HZ
    count = int(seconds / FRAME_SECONDS)
    whole = np.resize(samples, count * FRAME_SAMPLES)
    return list(whole.reshape(count, FRAME_SAMPLES))


class Killer(threading.Thread):
    """Kills the runtime's workers at random moments."""

    def __init__(self, runtime: Runtime, seconds: float, crashes: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._runtime = runtime
        self._dice = random.Random(seed)
        self._moments = sorted(self._dice.uniform(0.5, seconds - 0.5) for _ in range(crashes))
        self.killed = 0

    def run(self) -> None:
        began = time.monotonic()
        for moment in self._moments:
            time.sleep(max(0.0, began + moment - time.monotonic()))
            busy = [worker for worker in self._runtime.workers() if worker["state"] == "busy"]
            if busy:
                how = self._dice.choice([signal.SIGKILL, signal.SIGSEGV])
                os.kill(self._dice.choice(busy)["pid"], how)
                self.killed += 1


def listen(
    pipeline: Pipeline, frames: list[np.ndarray], killer: Killer | None
) -> tuple[list[np.ndarray], list[float], set[int]]:
    """Feeds the frames. Returns what came out, how late each output was in seconds, and the numbers
    of the frames that were concealed. Without a killer nothing is due.
    """
    heard: list[np.ndarray] = []
    lateness: list[float] = []
    concealed: set[int] = set()
    with pipeline.session() as session:
        # The first one also waits for imports. A late frame is concealed by the one before it.
        session.process(frames[0], due=time.monotonic() + 60, late="conceal")
        if killer is not None:
            killer.start()
        began = time.monotonic()
        for number, frame in enumerate(frames):
            due = began + (number + 1) * FRAME_SECONDS
            if killer is None:
                heard += session.process(frame)
                continue
            outputs = session.process(frame, due=due, late="conceal")
            lateness.append(time.monotonic() - due)
            metrics = pipeline.get_metrics()
            late = 0 if metrics is None else metrics["late_count"]
            if late > len(concealed):
                concealed.add(number)
            heard += outputs
            time.sleep(max(0.0, due - time.monotonic()))
    return heard, lateness, concealed


def write(path: Path, frames: list[np.ndarray]) -> None:
    samples = (np.concatenate(frames) * 32_767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--crashes", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = options.out or Path(tempfile.mkdtemp(prefix="unheard-crashes-"))
    folder.mkdir(parents=True, exist_ok=True)

    frames = frames_of(options.seconds)
    with Runtime("[workers]\nmax = 8\n") as runtime:

        def pipeline() -> Pipeline:
            return Pipeline(HighPass(), Levelled(), Echo(), runtime=runtime)

        original, _, _ = listen(pipeline(), frames, None)
        killer = Killer(runtime, options.seconds, options.crashes, options.seed)
        heard, lateness, concealed = listen(pipeline(), frames, killer)
    write(folder / "original.wav", original)
    write(folder / "heard.wav", heard)

    differ = [
        number
        for number, (one, other) in enumerate(zip(original, heard, strict=True))
        if not np.array_equal(one, other)
    ]
    in_time = [late for number, late in enumerate(lateness) if number not in concealed]
    print(
        f"{len(frames)} frames, {killer.killed} workers killed, {len(concealed)} frames concealed"
    )
    print(f"of the others, {len(set(differ) - concealed)} differ from the original")
    print(
        f"longest after its due time: {max(0.0, *in_time) * 1e3:.1f} ms; concealed: "
        f"{max([0.0, *(lateness[number] for number in concealed)]) * 1e3:.1f} ms"
    )
    print(f"original.wav and heard.wav are in {folder}")
    return 1 if set(differ) - concealed else 0


if __name__ == "__main__":
    sys.exit(main())
