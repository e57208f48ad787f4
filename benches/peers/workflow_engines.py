"""The same chain of 40 steps, `fibo(10)` each, with other engines of durable workflows.

    scripts/install.sh engines benches/peers/requirements-workflows.txt
    .venvs/engines/bin/python benches/peers/workflow_engines.py [--postgres URL]

Each engine runs in a process of its own, on a database of its own, as it comes; beside each figure
is what its database survives. DBOS and Prefect run steps in the engine's process, Temporal in a
worker process beside its server, RemoteMedia in isolated worker processes. Those that are not
installed are left out. Cloacina's wheel (cloaca) is not here: see README.md.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from common import machine, markdown, show

Row = list[str]
ROUNDS = 10

FIBO = """
import os, sys, time
def fibo(n): return n if n < 2 else fibo(n - 1) + fibo(n - 2)
def measured(chain):
    assert chain() == 55
    for _ in range(int(os.environ["ROUNDS"])):
        begun = time.perf_counter()
        assert chain() == 55
        print("took", time.perf_counter() - begun, flush=True)
"""

REMOTEMEDIA = """
from remotemedia.workflows import Runner, Workflow, task
@task
def work(): return fibo(10)
later = [work.with_options(name=f"s{n}", after=[f"s{n - 1}"]) for n in range(1, 40)]
workflow = Workflow("chain", [work.with_options(name="s0"), *later])
with Runner(sys.argv[1], workers=1) as runner:
    measured(lambda: runner.submit(workflow).result().checked().outputs["s39"])
"""

DBOS = """
from dbos import DBOS
@DBOS.step()
def step(): return fibo(10)
@DBOS.workflow()
def chain():
    for _ in range(40): result = step()
    return result
if __name__ == "__main__":
    DBOS(config={"name": "bench", "system_database_url": sys.argv[1], "log_level": "ERROR"})
    DBOS.launch()
    measured(chain)
    DBOS.destroy()
"""

PREFECT = """
from prefect import flow, task
@task(persist_result=True)
def step(n): return fibo(10)
@flow(persist_result=True)
def chain():
    for n in range(40): result = step(n)
    return result
measured(chain)
"""

TEMPORAL = """
import asyncio, uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
@activity.defn
def step() -> int: return fibo(10)
@workflow.defn
class Chain:
    @workflow.run
    async def run(self) -> int:
        for _ in range(40):
            result = await workflow.execute_activity(
                step, start_to_close_timeout=timedelta(seconds=60))
        return result
async def main():
    client = await Client.connect(sys.argv[1])
    with ThreadPoolExecutor(4) as threads:
        async with Worker(client, task_queue="bench", workflows=[Chain], activities=[step],
                          activity_executor=threads, workflow_runner=UnsandboxedWorkflowRunner()):
            loop = asyncio.get_running_loop()
            def chain():
                made = client.execute_workflow(
                    Chain.run, id=str(uuid.uuid4()), task_queue="bench")
                return asyncio.run_coroutine_threadsafe(made, loop).result()
            await loop.run_in_executor(None, measured, chain)
asyncio.run(main())
"""


def row(
    what: str, durability: str, program: str, argument: str, folder: Path, **environment: str
) -> Row:
    """Run a program, and say how long its chain takes."""
    file = folder / f"{time.monotonic_ns()}.py"
    file.write_text(FIBO + program)
    done = subprocess.run(
        [sys.executable, str(file), argument],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "ROUNDS": str(ROUNDS), **environment},
    )
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("took ")]
    times = [float(seconds) * 1000 for _, seconds in lines]
    if done.returncode or len(times) != ROUNDS:
        error = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return [what, durability, "did not run", error[:80], ""]
    median = statistics.median(times)
    return [what, durability, f"{median:.1f} ms", f"{median / 40:.2f} ms", f"{max(times):.1f} ms"]


def temporal(folder: Path) -> Row:
    """Temporal's development server, with its state in a file."""
    what, durability = "Temporal 1.9.1, SQLite of its server", "full"
    server_program = Path(sys.executable).with_name("temporal")
    port = str(20_000 + os.getpid() % 10_000)
    command = [server_program, "server", "start-dev", "--headless", "--port", port]
    command += ["--db-filename", folder / "temporal.db", "--log-level", "error"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(20):
                time.sleep(1)
                made = row(what, durability, TEMPORAL, f"127.0.0.1:{port}", folder)
                if made[2] != "did not run":
                    break
            return made
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--postgres", help="URL of a server to measure as well")
    options = parser.parse_args()
    show(machine())
    has = importlib.util.find_spec
    schema = f"b{time.monotonic_ns()}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows: list[Row] = []
        for level in ("full", "normal"):
            url = f"sqlite:///{folder}/{level}.db?sync={level}"
            rows.append(row("RemoteMedia, SQLite", level, REMOTEMEDIA, url, folder))
        if options.postgres:
            url = f"{options.postgres}?schema={schema}"
            rows.append(row("RemoteMedia, PostgreSQL", "full", REMOTEMEDIA, url, folder))
        if has("dbos"):
            url = f"sqlite:///{folder}/dbos.sqlite"
            rows.append(row("DBOS 3.4.0, SQLite", "full", DBOS, url, folder))
        if has("dbos") and options.postgres:
            url = options.postgres.replace("postgresql://", "postgresql+psycopg://")
            rows.append(row("DBOS 3.4.0, PostgreSQL", "full", DBOS, url, folder))
        if has("prefect"):
            home = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_LOGGING_LEVEL": "ERROR"}
            rows.append(row("Prefect 3.9.1, SQLite", "normal", PREFECT, "", folder, **home))
        if has("temporalio") and Path(sys.executable).with_name("temporal").exists():
            rows.append(temporal(folder))
        show(markdown(["engine", "survives a power cut", "p50", "a step", "longest"], rows))
        show("full: everything that was committed; normal: all but the last moments.")


if __name__ == "__main__":
    main()
