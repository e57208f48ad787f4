"""Where the settings of a `Runtime` come from: arguments, files, the environment."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from remotemedia import Runtime
from remotemedia.core.exceptions import ConfigurationError


def test_settings_are_keyword_arguments() -> None:
    """spec: CARD-09"""
    with pytest.raises(ConfigurationError) as caught:
        Runtime("[calls]\nwindow = 3", calls={"window": 0, "timout": 1}, workers={"max": "many"})
    told = str(caught.value)
    assert "arguments: 3 problems" in told
    for part in ("[calls] window: 0 is out of range", "did you mean `timeout`", "[workers] max"):
        assert part in told
    Runtime(
        calls={"timeout": timedelta(seconds=5), "retry_on": ("Flaky",)},
        python={"interpreter": Path(sys.executable), "environment": {"A": "1"}},
    ).shutdown()
    with pytest.raises(ConfigurationError, match="a set is no value"):
        Runtime(python={"preload": {"numpy"}})


def test_a_renamed_key_works_and_warns_in_python() -> None:
    with pytest.warns(FutureWarning, match=r"`executable` in \[python\] is called `interpreter`"):
        Runtime(f'[python]\nexecutable = "{sys.executable}"\n').shutdown()


def test_files_and_variables_are_layers(tmp_path: Path) -> None:
    """spec: CARD-09"""
    project, home = tmp_path / "project" / "deep", tmp_path / "home"
    project.mkdir(parents=True)
    (home / ".config" / "remotemedia").mkdir(parents=True)
    system = tmp_path / "system.toml"
    named = tmp_path / "named.toml"
    system.write_text("[calls]\nwindow = 2\nqueue = 2\nretries = 2\nbreaker = 2\nstandby = 1\n")
    of_user = home / ".config" / "remotemedia" / "config.toml"
    of_user.write_text("[calls]\nqueue = 3\nretries = 3\n")
    (project.parent / "remotemedia.toml").write_text("[calls]\nretries = 4\nbreaker = 4\n")
    named.write_text("[calls]\nbreaker = 5\ntimeout = '5 s'\n")
    environment = {
        "HOME": str(home),
        "PATH": "/usr/bin",
        "REMOTEMEDIA_SYSTEM_CONFIG": str(system),
        "REMOTEMEDIA_CONFIG": str(named),
        "REMOTEMEDIA_CALLS_TIMEOUT": "6 s",
        "REMOTEMEDIA_CALLS_WINDW": "1",
    }
    command = [sys.executable, "-m", "remotemedia", "config", "show", "--origin"]
    done = subprocess.run(
        [*command, "--set", "calls.deadline=7s", "--python", "/opt/python"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    shown = {}
    section = ""
    for line in done.stdout.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line:
            setting, origin = line.split("#")
            name, value = setting.split(" = ")
            shown[f"{section}.{name}"] = (value.strip(), origin.strip())
    assert shown["calls.window"] == ("2", f"{system}:2")
    assert shown["calls.queue"] == ("3", f"{of_user}:2")
    assert shown["calls.retries"] == ("4", f"{project.parent}/remotemedia.toml:2")
    assert shown["calls.breaker"] == ("5", f"{named}:2")
    assert shown["calls.timeout"] == ('"6 s"', "REMOTEMEDIA_CALLS_TIMEOUT")
    assert shown["calls.deadline"] == ('"7 s"', "--set")
    assert shown["python.interpreter"] == ('"/opt/python"', "arguments")
    assert shown["calls.spin"] == ('"1 ms"', "default")
