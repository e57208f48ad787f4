"""Draw a recording the way the tables in this folder were judged: spectrogram and 10 ms levels.

Reads 16-bit PCM and u-law WAV files and headerless s16le files, one channel. Needs numpy;
the pictures also need matplotlib, the printed levels (``--levels``) do not.

    python show_recording.py FILE [--start-ms 0] [--end-ms END] [--table TABLE.json] [--out DIR]
    python show_recording.py FILE --levels --start-ms 1200 --end-ms 1500
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

FloatArray = npt.NDArray[np.float64]

LEVEL_STEP_MS = 10
WINDOW_MS = 16.0
HOP_MS = 2.0
ROW_MS = 4000.0
ROWS_PER_PAGE = 2
SPECTRUM_RANGE_DB = 70.0
LOWEST_LEVEL_DB = -100.0
WAVE_FORMAT_PCM = 1
WAVE_FORMAT_ULAW = 7


@dataclass(frozen=True)
class Recording:
    """Samples of one channel, full scale 1.0, shape (samples,), and their rate in Hz."""

    samples: FloatArray
    rate_hz: int

    @property
    def duration_ms(self) -> float:
        """Length of the recording in milliseconds."""
        return 1000.0 * len(self.samples) / self.rate_hz

    def between(self, start_ms: float, end_ms: float) -> FloatArray:
        """Samples from ``start_ms`` to ``end_ms``, clipped to the recording."""
        first = max(0, round(start_ms * self.rate_hz / 1000.0))
        last = max(first, round(end_ms * self.rate_hz / 1000.0))
        return self.samples[first:last]


def decode_ulaw(data: bytes) -> FloatArray:
    """Decode G.711 u-law bytes to samples of full scale 1.0."""
    code = ~np.frombuffer(data, np.uint8).astype(np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code >> 4) & 0x07)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude) / 32768.0


def decode_s16le(data: bytes) -> FloatArray:
    """Decode little-endian 16-bit samples to full scale 1.0; an odd last byte is dropped."""
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float64) / 32768.0


def wav_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (id, body) of the chunks of a RIFF file."""
    position = 12
    while position + 8 <= len(data):
        name = data[position : position + 4]
        (length,) = struct.unpack_from("<I", data, position + 4)
        yield name, data[position + 8 : position + 8 + length]
        position += 8 + length + (length & 1)


def read_recording(path: Path, raw_rate_hz: int) -> Recording:
    """Read a WAV file, or a headerless s16le file taken to run at ``raw_rate_hz``.

    Raises ``ValueError`` when a WAV file has more than one channel, another sample format,
    or no samples.
    """
    data = path.read_bytes()
    if data[:4] != b"RIFF":
        return Recording(decode_s16le(data), raw_rate_hz)
    chunks = dict(wav_chunks(data))
    if b"fmt " not in chunks or b"data" not in chunks:
        raise ValueError(f"{path}: no fmt or data chunk")
    code, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    if channels != 1:
        raise ValueError(f"{path}: {channels} channels, one expected")
    if (code, bits) == (WAVE_FORMAT_PCM, 16):
        return Recording(decode_s16le(chunks[b"data"]), rate_hz)
    if (code, bits) == (WAVE_FORMAT_ULAW, 8):
        return Recording(decode_ulaw(chunks[b"data"]), rate_hz)
    raise ValueError(f"{path}: WAV format {code} with {bits} bits is not read here")


def level_db(samples: FloatArray) -> float:
    """RMS level in dBFS (0 dB: RMS 1.0), not below ``LOWEST_LEVEL_DB``."""
    if len(samples) == 0:
        return LOWEST_LEVEL_DB
    rms = float(np.sqrt(np.mean(samples**2)))
    return max(LOWEST_LEVEL_DB, 20.0 * float(np.log10(max(rms, 1e-9))))


def levels(recording: Recording, start_ms: float, end_ms: float) -> tuple[FloatArray, FloatArray]:
    """Starts (ms) and levels (dBFS) of consecutive steps of ``LEVEL_STEP_MS``."""
    last_ms = min(end_ms, recording.duration_ms)
    starts = np.arange(start_ms, last_ms, LEVEL_STEP_MS, dtype=np.float64)
    values = [level_db(recording.between(start, start + LEVEL_STEP_MS)) for start in starts]
    return starts, np.array(values)


def spectrogram(
    recording: Recording, start_ms: float, end_ms: float
) -> tuple[FloatArray, FloatArray]:
    """Frame centres (ms) and power in dB, shape (bins, frames), Hann windows of ``WINDOW_MS``."""
    width = round(WINDOW_MS * recording.rate_hz / 1000.0)
    centres = np.arange(start_ms, min(end_ms, recording.duration_ms), HOP_MS, dtype=np.float64)
    padded = np.concatenate([np.zeros(width), recording.samples, np.zeros(width)])
    firsts = np.round(centres * recording.rate_hz / 1000.0).astype(int) - width // 2 + width
    window = np.hanning(width)
    frames = np.stack([padded[first : first + width] * window for first in firsts], axis=1)
    power = np.abs(np.fft.rfft(frames, n=4 * width, axis=0)) ** 2 / np.sum(window**2)
    return centres, 10.0 * np.log10(power + 1e-12)


def level_lines(recording: Recording, start_ms: float, end_ms: float) -> str:
    """Return one line for each 10 ms: its level and the power in four bands, in dBFS."""
    edges_hz = [80.0, 500.0, 1000.0, 2000.0, recording.rate_hz / 2.0]
    names = [f"{low:.0f}-{high:.0f}" for low, high in itertools.pairwise(edges_hz)]
    lines = ["start_ms  level " + " ".join(f"{name:>10}" for name in names)]
    for start, level in zip(*levels(recording, start_ms, end_ms), strict=True):
        piece = recording.between(start, start + LEVEL_STEP_MS)
        power = np.abs(np.fft.rfft(piece * np.hanning(len(piece)))) ** 2
        scale = 2.0 / (len(piece) * max(float(np.sum(np.hanning(len(piece)) ** 2)), 1e-9))
        bins_hz = np.fft.rfftfreq(len(piece), 1.0 / recording.rate_hz)
        bands = []
        for low, high in itertools.pairwise(edges_hz):
            inside = power[(bins_hz >= low) & (bins_hz < high)]
            bands.append(10.0 * np.log10(scale * float(np.sum(inside)) + 1e-10))
        lines.append(f"{start:8.0f} {level:6.1f} " + " ".join(f"{band:10.1f}" for band in bands))
    return "\n".join(lines) + "\n"


def table_segments(table: Path, file: Path) -> list[tuple[float, float]]:
    """Segments (start ms, end ms) the table gives for the file; the path's last two parts match."""
    for entry in json.loads(table.read_text())["files"]:
        if Path(entry["path"]).parts[-2:] == file.resolve().parts[-2:]:
            return [(part["start_ms"], part["end_ms"]) for part in entry["segments"]]
    return []


def draw_row(
    axes: tuple[Any, Any],
    recording: Recording,
    span_ms: tuple[float, float],
    marks: list[tuple[float, float]],
) -> None:
    """Draw one stretch of the recording: spectrogram above, levels below, segments in green."""
    top, bottom = axes
    start_ms, end_ms = span_ms
    times, power = spectrogram(recording, start_ms, end_ms)
    if len(times) == 0:
        top.axis("off")
        bottom.axis("off")
        return
    ceiling = float(np.percentile(power, 99.7))
    box = (times[0], times[-1] + HOP_MS, 0.0, recording.rate_hz / 2000.0)
    floor = ceiling - SPECTRUM_RANGE_DB
    top.imshow(
        power, origin="lower", aspect="auto", extent=box, cmap="magma", vmin=floor, vmax=ceiling
    )
    top.set_ylabel("kHz")
    starts, values = levels(recording, start_ms, end_ms)
    bottom.step(starts, values, where="post", linewidth=0.8, color="black")
    bottom.set_ylabel("dBFS")
    bottom.set_ylim(-85, 0)
    bottom.set_yticks(range(-80, 1, 10))
    bottom.grid(visible=True, which="major", alpha=0.5)
    bottom.grid(visible=True, which="minor", axis="x", alpha=0.2)
    ticks = np.arange(np.ceil(start_ms / 100) * 100, end_ms + 1, 100)
    for panel in axes:
        panel.set_xticks(ticks)
        panel.set_xticks(np.arange(ticks[0] - 80, end_ms, 20), minor=True)
        panel.set_xlim(start_ms, end_ms)
        panel.tick_params(labelsize=6.5)
        for mark_start, mark_end in marks:
            panel.axvline(mark_start, color="limegreen", linewidth=1.0)
            panel.axvline(mark_end, color="deepskyblue", linewidth=1.0, linestyle="--")
    for mark_start, mark_end in marks:
        bottom.axvspan(mark_start, mark_end, color="limegreen", alpha=0.12)


def draw_pages(
    recording: Recording,
    span_ms: tuple[float, float],
    marks: list[tuple[float, float]],
    stem: Path,
) -> list[Path]:
    """Write one PNG for every ``ROWS_PER_PAGE`` rows of ``ROW_MS``; returns the paths written."""
    # Imported here and by name: only the pictures need matplotlib, type checking does not.
    importlib.import_module("matplotlib").use("Agg")
    plt = importlib.import_module("matplotlib.pyplot")
    start_ms, end_ms = span_ms
    row_ms = min(ROW_MS, end_ms - start_ms)
    row_starts = np.arange(start_ms, end_ms, row_ms)
    pages: list[Path] = []
    for first in range(0, len(row_starts), ROWS_PER_PAGE):
        rows = row_starts[first : first + ROWS_PER_PAGE]
        figure, grid = plt.subplots(
            2 * len(rows),
            1,
            figsize=(18, 5.0 * len(rows)),
            squeeze=False,
            gridspec_kw={"height_ratios": [1.25, 1.0] * len(rows)},
        )
        for index, row_start in enumerate(rows):
            axes = (grid[2 * index][0], grid[2 * index + 1][0])
            draw_row(axes, recording, (float(row_start), float(row_start + row_ms)), marks)
        figure.suptitle(f"{stem.name}, from {rows[0]:.0f} ms", fontsize=9)
        figure.tight_layout()
        page = stem.with_name(f"{stem.name}_{round(float(rows[0])):06d}.png")
        figure.savefig(page, dpi=95)
        plt.close(figure)
        pages.append(page)
    return pages


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--start-ms", type=float, default=0.0)
    parser.add_argument("--end-ms", type=float)
    parser.add_argument("--raw-rate-hz", type=int, default=8000, help="rate of a headerless file")
    parser.add_argument("--table", type=Path, help="draw this table's segments of the file")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of the pictures")
    parser.add_argument("--levels", action="store_true", help="print levels, draw nothing")
    return parser.parse_args()


def main() -> int:
    """Draw or print what the command line asks for; returns the exit code."""
    options = arguments()
    try:
        recording = read_recording(options.file, options.raw_rate_hz)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    end_ms = recording.duration_ms
    if options.end_ms is not None:
        end_ms = min(end_ms, options.end_ms)
    if options.levels:
        sys.stdout.write(level_lines(recording, options.start_ms, end_ms))
        return 0
    marks = table_segments(options.table, options.file) if options.table else []
    stem = options.out / f"{options.file.parent.name}_{options.file.stem}"
    try:
        pages = draw_pages(recording, (options.start_ms, end_ms), marks, stem)
    except ImportError as error:
        sys.stderr.write(f"{error}: pictures need matplotlib; --levels does not\n")
        return 1
    sys.stdout.writelines(f"{page}\n" for page in pages)
    return 0


if __name__ == "__main__":
    sys.exit(main())
