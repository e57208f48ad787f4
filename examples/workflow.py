"""A durable workflow: kill it at any moment, start it again, and it goes on where it was.

python examples/workflow.py
"""

import sys

from remotemedia.workflows import Runner, Workflow, task


@task
def split(text: str) -> list[str]:
    return text.split()


@task(map="split", retries=2, timeout=10)
def measured(split: str) -> int:
    return len(split)


@task
def summed(measured: list[int]) -> dict[str, int]:
    return {"words": len(measured), "letters": sum(measured)}


def main() -> None:
    workflow = Workflow("letters", [split, measured, summed])
    url = sys.argv[1] if len(sys.argv) > 1 else "sqlite://:memory:"
    with Runner(url, workflows=[workflow]) as runner:
        run = runner.submit(workflow, {"text": "tasks that survive everything"}, id="example")
        print(run.result(timeout=60).checked().outputs["summed"])


if __name__ == "__main__":
    main()
