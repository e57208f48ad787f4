"""What the caller does about signals, and what the programs that nodes start get of it."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from typing import Any

import pytest

from places import FIXTURES
from processes import wait_until_gone

INTERPRETERS = ["cpython", "rustpython"]
LINUX = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2])
PRELUDE = f"""
import json, os, signal, sys, threading
sys.path.insert(0, {str(FIXTURES)!r})
from remotemedia import Pipeline, Runtime, WorkerCrashed
from warm_nodes import Finds

settings = '[python]\\nruntime = "' + sys.argv[1] + '"\\n[fallback]\\nenabled = false\\n'
runtime = Runtime(settings + '[rustpython]\\nallow_modules = "os.fork"\\n')

def find(statements):
    return Pipeline(Finds(), runtime=runtime).run(statements)[1]
"""
# Prints the signals that a program ignores and blocks, as the kernel tells it.
COMMAND = ["/usr/bin/grep", "-E", "^Sig(Ign|Blk):", "/proc/self/status"]
PYTHONS_OWN = {13, 25}
"""SIGPIPE and SIGXFSZ, which Python ignores, and hides from other programs only if asked to."""
# Ways to start a program; each must give what it prints.
WAYS = {
    "subprocess": "import subprocess; found = subprocess.check_output(command, text=True)",
    "without restoring signals": "import subprocess\n"
    "found = subprocess.check_output(command, text=True, restore_signals=False)",
    "os.popen": "import shlex; found = os.popen(shlex.join(command)).read()",
    "posix_spawn": "into, out = os.pipe(); null = os.open('/dev/null', os.O_RDONLY)\n"
    "pid = os.posix_spawn(command[0], command, os.environ,"
    " file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])\n"
    "os.close(out); found = open(into).read(); os.waitpid(pid, 0)",
}


def run(program: str, script: str, interpreter: str, *how: str) -> Any:
    """What a script, which runs as `env` makes it, prints as JSON. It finds `find`."""
    done = subprocess.run(
        ["env", "--default-signal", *how, program, "-c", PRELUDE + script, interpreter],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("ignored", [[], [1], [2], [1, 17]])
def test_programs_of_nodes_have_the_signals_that_the_callers_own_would_have(
    interpreter: str, way: str, ignored: list[int]
) -> None:
    """spec: CARD-02, CARD-03: SIGHUP under nohup, SIGINT of a job in the background."""
    statements = f"command = {COMMAND!r}\n{WAYS[way]}"
    script = f"print(json.dumps(find({statements!r})))"
    how = [f"--ignore-signal={','.join(map(str, ignored))}"] if ignored else []
    found = run(sys.executable, script, interpreter, *how)
    masks = dict(line.split(":\t") for line in found.splitlines())
    ignored_there, blocked = (_numbers(masks[name]) for name in ("SigIgn", "SigBlk"))
    # SIGCHLD is never ignored: nodes could not learn how their programs ended.
    assert ignored_there - PYTHONS_OWN == set(ignored) - {17}
    if way in ("subprocess", "os.popen"):
        assert not PYTHONS_OWN & ignored_there
    assert blocked == set()


def _numbers(mask: str) -> set[int]:
    """The signals in a mask of `/proc`; glibc has the first real-time ones to itself."""
    return {number for number in range(1, 32) if int(mask, 16) >> number - 1 & 1}


ENDS = {
    "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)": ("SIGSEGV", None),
    "import os; os.abort()": ("SIGABRT", None),
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": (None, None),
    "import os; os._exit(3)": (None, None),
}
CRASHES = """
try:
    find({ends!r})
except WorkerCrashed as crashed:
    assert find("import subprocess; found = subprocess.call('exit 7', shell=True)") == 7
    print(json.dumps([crashed.signal, crashed.exit_code, str(crashed)]))
"""


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("ends", ENDS)
def test_a_caller_that_ignores_its_children_is_told_what_is_known(
    interpreter: str, ends: str
) -> None:
    """spec: CARD-08: the kernel forgets how they ended, the flight recorder does not."""
    ignores = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    signal_name, code, text = run(sys.executable, ignores + CRASHES.format(ends=ends), interpreter)
    assert (signal_name, code) == ENDS[ends]
    assert (f"killed by {signal_name}" if signal_name else "how is unknown") in text


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("ends", ENDS)
def test_a_caller_that_reaps_its_children_is_told_what_is_known(
    interpreter: str, ends: str
) -> None:
    """spec: CARD-08: whoever comes first learns how they ended."""
    reaps = """
def reap():
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            pass
threading.Thread(target=reap, daemon=True).start()
"""
    signal_name, code, text = run(sys.executable, reaps + CRASHES.format(ends=ends), interpreter)
    assert signal_name in ((ENDS[ends][0],) if ENDS[ends][0] else (None, "SIGKILL"))
    assert code in ((None, 3) if "_exit" in ends else (None,))
    if (signal_name, code) == (None, None):
        assert "how is unknown" in text


@pytest.mark.skipif(LINUX < (6, 9), reason="the kernel signals groups by number only")
@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_programs_of_a_worker_that_died_end_though_nobody_reaps_it(interpreter: str) -> None:
    """spec: CARD-08"""
    script = """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
starts = "import os, subprocess, sys; sleeps = subprocess.Popen(['sleep', '1000'])"
try:
    find(starts + "; print(sleeps.pid, file=sys.stderr, flush=True); os.kill(os.getpid(), 9)")
except WorkerCrashed as crashed:
    print(int(crashed.stderr_tail))
"""
    wait_until_gone({run(sys.executable, script, interpreter)})


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_the_library_leaves_an_ignored_signal_alone(interpreter: str) -> None:
    script = """
for number in signal.SIGHUP, signal.SIGINT, signal.SIGTERM:
    signal.signal(number, signal.SIG_IGN)
    threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
found = find("import time; time.sleep(0.3); found = 1")
print(json.dumps([found, signal.getsignal(signal.SIGINT) == signal.SIG_IGN]))
"""
    assert run(sys.executable, script, interpreter) == [1, True]


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_a_worker_survives_a_ctrl_c_that_reaches_it(interpreter: str) -> None:
    """The caller gets it too, and decides."""
    interrupted = "import signal; os.kill(os.getpid(), signal.SIGINT); found = 1"
    assert run(sys.executable, f"print(find({interrupted!r}))", interpreter) == 1
