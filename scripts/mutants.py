#!/usr/bin/env python3
"""Makes small wrong changes to the session core and checks that the simulation fails for each.

mutants.py [SEEDS]: each of the changes below is made in a copy of the repository, and the
simulation runs there with this many seeds (10,000 by default). It is an error if the simulation
does not notice a change, or if the line of a change is no longer in the source: then adapt the
change.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "target" / "mutants"
CORE = "orchestrator/src/schedule"


class Mutant(NamedTuple):
    """A change: a line of the core and its replacement."""

    name: str
    file: str
    line: str
    becomes: str


MUTANTS = [
    Mutant(
        "a tick is dropped",
        "slots.rs",
        "Event::Tick => self.tick(now, actions, &mut changes),",
        "Event::Tick => {}",
    ),
    Mutant(
        "a slot is not freed",
        "slots.rs",
        "State::Busy(busy, _) | State::Stopping { stage: Some(busy), .. } if busy == stage => {",
        "State::Stopping { stage: Some(busy), .. } if busy == stage => {",
    ),
    Mutant(
        "an interrupted slot is not freed",
        "slots.rs",
        "State::Busy(busy, _) | State::Stopping { stage: Some(busy), .. } if busy == stage => {",
        "State::Busy(busy, _) if busy == stage => {",
    ),
    Mutant(
        "closing is not heard",
        "slots.rs",
        "Event::Close => self.close(now, actions),",
        "Event::Close => {}",
    ),
    Mutant(
        "a request is not withdrawn",
        "slots/slot.rs",
        "            actions.push(Action::Withdraw(id));\n",
        "",
    ),
    Mutant(
        "a worker without nodes is not given back",
        "slots/slot.rs",
        "                actions.push(Action::Release(id));\n",
        "",
    ),
    Mutant(
        "what is being made is not interrupted",
        "slots/slot.rs",
        "            State::Opening(_) => {\n"
        "                actions.push(Action::Interrupt(id));\n",
        "            State::Opening(_) => {\n",
    ),
    Mutant(
        "slots that open first are not waited for",
        "slots.rs",
        "let only_first = self.phase == Phase::Opening && self.slots.iter().any(waits);",
        "let only_first = false && self.slots.iter().any(waits);",
    ),
    Mutant(
        "opening has no deadline",
        "slots.rs",
        "let until = Some(now + self.bounds.open_timeout);",
        "let until = None;",
    ),
    Mutant(
        "cleaning up has no deadline",
        "slots.rs",
        "let until = Some(now + self.bounds.close_timeout);",
        "let until = None;",
    ),
    Mutant(
        "a step after an output keeps the old deadline",
        "slots.rs",
        "            *watch = Watch::new(now, first, watch.until);",
        "            let _kept = (watch, first);",
    ),
    Mutant(
        "a dead worker is not removed",
        "slots.rs",
        "                self.slots[slot].remove_dead(slot, actions)\n",
        "",
    ),
    Mutant(
        "a lost slot keeps its calls",
        "slots.rs",
        "(!is_standby).then_some(Change::Lost { slot, is_overdue })",
        "(!is_standby).then_some(Change::Lost { slot, is_overdue }).filter(|_| false)",
    ),
    Mutant(
        "unsuited workers are tried for ever",
        "slots/slot.rs",
        "        self.unsuited <= MAX_UNSUITED",
        "        self.unsuited <= u32::MAX",
    ),
    Mutant(
        "a node's time counts from the call",
        "slots/deadlines.rs",
        "running.since.clamp(began, now.max(began))",
        "began",
    ),
    Mutant(
        "the next look is when this node is due, whichever comes after it",
        "slots/deadlines.rs",
        "watch.check = soonest.into_iter().chain(due).min();",
        "watch.check = due.or(soonest);",
    ),
    Mutant(
        "a process that does not end is waited for for ever",
        "slots/deadlines.rs",
        "State::Dying { is_killed: true, .. } => self.slots[slot].remove_dead(slot, actions),",
        "State::Dying { is_killed: true, .. } => {}",
    ),
    Mutant(
        "what does not stop is not killed",
        "slots/deadlines.rs",
        "                    actions.push(Action::Kill(slot));\n",
        "",
    ),
    Mutant(
        "a worker with limits is measured too often",
        "slots/limits.rs",
        "self.measured = Some(now);",
        "",
    ),
    Mutant(
        "a worker with limits is never measured",
        "slots/limits.rs",
        "let measured = self.measured.filter(|_| self.runs())?;",
        "let measured = self.measured.filter(|_| false)?;",
    ),
    Mutant(
        "a worker that runs nothing is measured",
        "slots/limits.rs",
        "let measured = self.measured.filter(|_| self.runs())?;",
        "let measured = self.measured?;",
    ),
    Mutant(
        "a dying worker is heard",
        "slots.rs",
        "self.homes[stage].slot.is_none_or(|slot| !self.slots[slot].state.is_dying())",
        "self.homes[stage].slot.is_none_or(|slot| self.slots.len() > slot)",
    ),
    Mutant(
        "a window is one too long",
        "stage.rs",
        "if self.shape.slot.is_some() && sent >= window {",
        "if self.shape.slot.is_some() && sent > window {",
    ),
    Mutant(
        "a failed round is not skipped",
        "failures.rs",
        "        stage.skip_round();\n        if is_told {",
        "        if is_told {",
    ),
    Mutant(
        "outputs of a round that was given up are delivered",
        "flow.rs",
        "        if self.stages[stage].is_skipping() {\n            return;\n        }\n",
        "",
    ),
    Mutant(
        "a failed call is tried once too often",
        "../model/failing.rs",
        "if failures > self.limit {",
        "if failures > self.limit + 1 {",
    ),
    Mutant(
        "what will not pass is tried again",
        "stage/tries.rs",
        ".filter(|_| is_transient)",
        "",
    ),
    Mutant(
        "a try begins too early",
        "../schedule.rs",
        "if (now < at && !is_skipping) ||",
        "if",
    ),
    Mutant(
        "a call that has given outputs is repeated",
        "stage/tries.rs",
        "(self.given.has_given() && self.loss != StateLoss::Saved)",
        "false",
    ),
    Mutant(
        "a kept call that failed for good is forgotten",
        "stage/tries.rs",
        "self.call = at.map_or(Call::Over,",
        "self.call = at.map_or(Call::None,",
    ),
    Mutant(
        "a success does not close a breaker",
        "attempts.rs",
        "std::mem::take(self).open_until.is_some()",
        "self.open_until.is_some()",
    ),
    Mutant(
        "a breaker never opens",
        "attempts.rs",
        "let opens = self.failures >= breaker.failures;",
        "let opens = false && self.failures >= breaker.failures;",
    ),
    Mutant(
        "an item outlasts its deadline",
        "slots/deadlines.rs",
        "State::Busy(stage, watch) if watch.is_over(now) => {",
        "State::Busy(stage, watch) if false && watch.is_over(now) => {",
    ),
    Mutant(
        "a try that is too late is not given up",
        "../schedule.rs",
        "if self.flow.stages[id].is_too_late(now) && !self.flow.stages[id].is_skipping() {",
        "if false {",
    ),
    Mutant(
        "a failure in a run does not end its rounds",
        "flow.rs",
        "        if self.stops_at_failure {",
        "        if false && self.stops_at_failure {",
    ),
    Mutant(
        "a suspended call of a round that was given up goes on",
        "../schedule.rs",
        "if stage.is_skipping() && !is_repeating {",
        "if false && !is_repeating {",
    ),
    Mutant(
        "a stage is not flushed",
        "stage.rs",
        "        self.shape.flushes && !self.flushed && !self.is_skipping()",
        "        !self.shape.flushes && !self.flushed && !self.is_skipping()",
    ),
    Mutant(
        "a stage without a flush is flushed",
        "stage.rs",
        "        self.shape.flushes && !self.flushed && !self.is_skipping()",
        "        !self.flushed && !self.is_skipping()",
    ),
    Mutant(
        "a mark overtakes items",
        "stage.rs",
        "        if self.again.is_some() {\n            return None;\n        }\n"
        "        let flush = self.round_is_complete()?;",
        "        let flush = self.round_is_complete()?;",
    ),
    Mutant(
        "a zip takes what is there",
        "stage.rs",
        "                let waiting = self.inputs.iter().any(|edge| edge.peek().is_none());",
        "                let waiting = self.inputs.iter().all(|edge| edge.peek().is_none());",
    ),
    Mutant(
        "outputs that are known are passed on again",
        "stage/given.rs",
        "self.given.is_past || self.given.outputs <= self.given.known",
        "self.given.is_past",
    ),
    Mutant(
        "calls since the checkpoint are not repeated",
        "history.rs",
        "self.replay = self.calls.drain(..).chain(rest).collect();",
        "self.replay = rest; self.calls.clear();",
    ),
    Mutant(
        "calls are repeated in another order",
        "history.rs",
        "self.replay = self.calls.drain(..).chain(rest).collect();",
        "self.replay = self.calls.drain(..).rev().chain(rest).collect();",
    ),
    Mutant(
        "a checkpoint covers calls that came after it",
        "history.rs",
        "self.calls.drain(..covered.min(self.calls.len()));",
        "self.calls.drain(..covered.max(self.calls.len()));",
    ),
    Mutant(
        "calls before a checkpoint are repeated",
        "history.rs",
        "self.calls.drain(..covered.min(self.calls.len()));",
        "self.calls.drain(..covered.min(0));",
    ),
    Mutant(
        "a failed call is no part of the state",
        "failures.rs",
        "                self.saves.keep(id, &mut self.flow, &self.slots, actions);\n",
        "",
    ),
    Mutant(
        "state is saved in the middle of a call",
        "saves.rs",
        "if slots.stages_in(slot).iter().all(is_idle) && self.histories[slot].save() {",
        "if self.histories[slot].save() {",
    ),
    Mutant(
        "a worker that stands by does not get the next checkpoint",
        "saves.rs",
        "            actions.push(Action::PassState { from: slot, to: standby });\n"
        "        } else {",
        "        } else {",
    ),
]


def copy_sources() -> None:
    """Copy the present state of the files that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    for name in listed.stdout.split("\0"):
        if name and not name.startswith("docs/"):
            target = COPY / name
            target.parent.mkdir(parents=True, exist_ok=True)
            source = ROOT / name
            # Unchanged files keep their time, so that cargo does not compile them again.
            if not target.exists() or target.read_bytes() != source.read_bytes():
                shutil.copyfile(source, target)


def run_simulation(seeds: int) -> subprocess.CompletedProcess[str]:
    """Run the simulation in the copy."""
    command = ["cargo", "test", "--quiet", "--package", "orchestrator", "--lib", "simulation"]
    settings = {
        "SIMULATION_SEEDS": str(seeds),
        "CARGO_TARGET_DIR": str(COPY / "target"),
        "RUST_BACKTRACE": "0",
    }
    return subprocess.run(
        command,
        cwd=COPY,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def verdict(mutant: Mutant, seeds: int) -> str | None:
    """Run one mutant. Returns None when the simulation failed because of it, else the problem."""
    path = COPY / CORE / mutant.file
    original = path.read_text()
    if original.count(mutant.line) != 1:
        return f"its line is in the file {original.count(mutant.line)} times, not once"
    try:
        path.write_text(original.replace(mutant.line, mutant.becomes))
        result = run_simulation(seeds)
    except subprocess.TimeoutExpired:
        return "the simulation hangs"
    finally:
        path.write_text(original)
    if "could not compile" in result.stderr:
        return "it does not compile:\n" + result.stderr[-2000:]
    if result.returncode == 0:
        return "the simulation did not notice it"
    found = result.stdout + result.stderr
    at = found.find("SIMULATION_SEED=")
    print(f"  found at seed {found[at:].split('=')[1].split()[0]}" if at >= 0 else "  found")
    return None


def main() -> int:
    """Try every mutant. Returns the exit code."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    copy_sources()
    if run_simulation(seeds).returncode != 0:
        print("the simulation fails without any change")
        return 1
    missed = 0
    for mutant in MUTANTS:
        print(mutant.name, flush=True)
        problem = verdict(mutant, seeds)
        if problem is not None:
            missed += 1
            print(f"  MISSED: {problem}")
    print(f"{len(MUTANTS) - missed} of {len(MUTANTS)} mutants were found within {seeds} seeds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
