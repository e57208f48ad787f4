"""Pure-Python packages from PyPI, used by nodes on every interpreter that a worker may have.

Found as users find them: in the caller's site-packages, which also hold what only CPython can load.
"""

# ruff: noqa: E501  (programs stand here as text)
from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

import interpreters

SITE = sysconfig.get_paths()["purelib"]

# Package -> a program that ends with the dict `answer`, which is the same everywhere.
PROGRAMS = {
    "attrs": """
        import attrs
        @attrs.define(order=True)
        class Point:
            x: int = attrs.field(validator=attrs.validators.instance_of(int))
            y: float = 2.0
            tags: list = attrs.field(factory=list, eq=False)
        try:
            Point("no")
        except TypeError as error:
            refused = "must be <class 'int'>" in str(error)
        point = attrs.evolve(Point(1), y=3.0)
        answer = {"repr": repr(point), "dict": attrs.asdict(point), "less": Point(0) < point,
                  "refused": refused, "slots": not hasattr(point, "__dict__")}
        """,
    "jinja2": """
        import jinja2
        env = jinja2.Environment(autoescape=True, trim_blocks=True,
                                 loader=jinja2.DictLoader({"base": "<{% block b %}{% endblock %}>"}))
        text = env.from_string(
            "{% extends 'base' %}{% block b %}{% for x in xs if x is odd %}"
            "{{ loop.index }}:{{ x|round(1) }}{{ name|upper }}{% endfor %}{% endblock %}"
        ).render(xs=[1, 2, 3], name="<a>")
        try:
            env.from_string("{{ missing.attribute }}").render()
        except jinja2.UndefinedError as error:
            text += str(error)
        answer = {"text": text}
        """,
    "markupsafe": """
        from markupsafe import Markup, escape
        answer = {"escaped": escape("<&'\\">"), "format": Markup("<b>{}</b>").format("<"),
                  "stripped": Markup("<i>a</i> b").striptags()}
        """,
    "requests": """
        import requests
        from requests.adapters import BaseAdapter
        class Echo(BaseAdapter):
            def send(self, request, **kwargs):
                response = requests.Response()
                response.status_code, response.request, response.url = 200, request, request.url
                response.headers["Content-Type"] = "application/json; charset=utf-8"
                response._content = request.body
                return response
            def close(self): pass
        session = requests.Session()
        session.mount("http://", Echo())
        done = session.post("http://example.org/a b", params={"q": ["1", "ä"]}, json={"x": [1, None]})
        failed = requests.Response()
        failed.status_code = 404
        try:
            failed.raise_for_status()
        except requests.HTTPError as error:
            told = str(error)
        answer = {"url": done.url, "json": done.json(), "ok": done.ok, "told": told,
                  "encoding": done.encoding}
        """,
    "yaml": """
        import yaml
        text = "a: [1, 2.5, true, null]\\nb: &x {c: 'd'}\\ne: *x\\nf: |\\n  line\\n  two\\ng: 2020-01-02\\n"
        loaded = yaml.load(text, Loader=yaml.SafeLoader)
        try:
            yaml.safe_load("a: [1")
        except yaml.YAMLError as error:
            line = error.problem_mark.line
        answer = {"loaded": str(loaded), "dumped": yaml.dump({"k": [1, {"x": "ä"}]}, allow_unicode=True),
                  "line": line}
        """,
    "msgpack": """
        import msgpack
        value = {"a": [1, -1, 2**40, 1.5, None, True], "b": b"x" * 300, "c": "ä" * 40}
        packed = msgpack.packb(value)
        unpacker = msgpack.Unpacker()
        unpacker.feed(packed[:7])
        early = list(unpacker)
        unpacker.feed(packed[7:])
        ext = msgpack.unpackb(msgpack.packb(msgpack.ExtType(5, b"z")))
        answer = {"size": len(packed), "same": msgpack.unpackb(packed) == value,
                  "stream": early + [sorted(x) for x in unpacker], "ext": [ext.code, len(ext.data)]}
        """,
    "more_itertools": """
        import more_itertools as m
        answer = {"chunked": list(map(list, m.chunked(range(5), 2))),
                  "windowed": list(m.windowed([1, 2, 3], 2)),
                  "peek": m.peekable("ab").peek(), "flat": list(m.collapse([1, [2, [3]]])),
                  "bucket": sorted(m.bucket("aAb", key=str.lower)),
                  "one": m.one([7]), "split": list(map(list, m.split_at([1, 0, 2], lambda x: not x)))}
        """,
    "click": """
        import click
        from click.testing import CliRunner
        @click.group()
        @click.option("--loud/--quiet", default=False)
        @click.pass_context
        def main(context, loud): context.obj = loud
        @main.command()
        @click.argument("name")
        @click.option("-n", "--count", type=click.IntRange(1, 3), default=1, show_default=True)
        @click.pass_obj
        def greet(loud, name, count):
            for _ in range(count): click.echo(name.upper() if loud else name)
        runner = CliRunner()
        done = runner.invoke(main, ["--loud", "greet", "ann", "-n", "2"])
        bad = runner.invoke(main, ["greet", "ann", "-n", "9"])
        answer = {"out": done.output, "code": bad.exit_code, "told": "1<=x<=3" in bad.output}
        """,
    "packaging": """
        from packaging.markers import Marker
        from packaging.requirements import Requirement
        from packaging.specifiers import SpecifierSet
        from packaging.version import InvalidVersion, Version
        try:
            Version("no version")
        except InvalidVersion:
            refused = True
        requirement = Requirement("a[b]>=1.2,!=1.3; python_version >= '3'")
        answer = {"sorted": [str(v) for v in sorted(map(Version, ["1.10", "1.9", "1.10rc1"]))],
                  "in": "1.4" in SpecifierSet(">=1.2,!=1.3"), "refused": refused,
                  "name": [requirement.name, sorted(requirement.extras)],
                  "marker": Marker("python_version >= '3.11'").evaluate()}
        """,
    "typing_extensions": """
        import typing_extensions as t
        class Movie(t.TypedDict, total=False):
            name: t.Required[str]
            year: int
        @t.runtime_checkable
        class Closes(t.Protocol):
            def close(self) -> None: ...
        class Node:
            @t.override
            def close(self): return t.assert_type(1, int)
        answer = {"required": sorted(Movie.__required_keys__), "closes": isinstance(Node(), Closes),
                  "override": Node.close.__override__}
        """,
    "dateutil": """
        import datetime
        from dateutil import parser, relativedelta, rrule
        start = parser.parse("31 Jan 2024 10:30 UTC")
        answer = {"parsed": start.isoformat(),
                  "next": (start + relativedelta.relativedelta(months=1)).isoformat(),
                  "rule": [d.day for d in rrule.rrule(rrule.DAILY, count=3, interval=2, dtstart=start)]}
        """,
    "sortedcontainers": """
        from sortedcontainers import SortedDict, SortedKeyList, SortedList
        numbers = SortedList([5, 1, 4], )
        numbers.update([3, 2])
        words = SortedKeyList(["bb", "a", "ccc"], key=len)
        answer = {"list": list(numbers), "at": numbers.bisect_left(3), "words": list(words.islice(1)),
                  "dict": list(SortedDict(b=1, a=2).items())}
        """,
    "idna": """
        import idna, charset_normalizer, certifi
        text = "Grüße aus Köln, schöne Woche".encode("cp1252")
        answer = {"encoded": idna.encode("köln.de").decode(),
                  "guessed": str(charset_normalizer.from_bytes(text).best()) != "",
                  "bundle": certifi.where().endswith(".pem")}
        """,
}


def _answer(interpreter: str, program: str, tmp_path: Path) -> dict[str, object]:
    script = tmp_path / "program.py"
    script.write_text(
        "import json, os, sys\n"
        "from remotemedia._guest import process, search\n"
        "process.prepare(None, list)\n"
        'sys.path += search.usable(json.loads(os.environ["TEST_PATH"]))\n'
        f"{textwrap.dedent(program)}\n"
        "sys.stdout.write(json.dumps(answer))\nsys.stdout.flush()\n"
    )
    # The caller's whole path, as a worker is given it.
    environment = {**os.environ, "TEST_PATH": json.dumps([*sys.path, SITE])}
    done = subprocess.run(
        [interpreter, str(script)], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("package", PROGRAMS)
def test_a_pure_package_works_on_both_interpreters(package: str, tmp_path: Path) -> None:
    # spec: IOP-13
    here = _answer(sys.executable, PROGRAMS[package], tmp_path)
    assert here
    assert _answer(interpreters.RUSTPYTHON, PROGRAMS[package], tmp_path) == here
