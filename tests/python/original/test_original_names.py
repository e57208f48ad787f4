"""Every public name of the original SDK can be imported from its places."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import remotemedia
from original.page import Name, names, page
from places import REPOSITORY
from remotemedia import Node, RemoteMediaError

ALL = list(names())
PLACES = [(place, name.name) for name in ALL for place in name.places]


def test_there_are_as_many_names_as_were_counted() -> None:
    distinct = {name.name for name in ALL if "V" in name.versions}
    assert len(distinct) >= 159
    assert len({name.name for name in ALL if "H" in name.versions}) >= 261


@pytest.mark.parametrize(("place", "name"), PLACES)
def test_a_name_can_be_imported_from_its_place(place: str, name: str) -> None:
    # spec: IOP-12
    scope: dict[str, object] = {}
    exec(f"from {place} import {name} as found", scope)
    assert scope["found"] is not None
    importlib.import_module(place)


@pytest.mark.parametrize("name", ALL, ids=lambda name: f"{name.places[0]}.{name.name}")
def test_a_name_is_here_and_tested_or_says_what_to_use(name: Name) -> None:
    advice = name.advice()
    assert advice or name.is_type_only() or name.tested_in(), f"{name.name} has no test"


def test_the_page_is_current() -> None:
    assert (REPOSITORY / "docs" / "original-names.md").read_text() == page(), "make original-names"


def test_modules_are_attributes_of_their_packages() -> None:
    program = (
        "import remotemedia\n"
        "print(remotemedia.nodes.audio.VADNode.__name__)\n"
        "print(remotemedia.core.pipeline.Pipeline.__name__)\n"
        "print(remotemedia.webrtc.manager.WebRTCManager.__name__)\n"
        "print(remotemedia.nodes.ml.qwen.__name__)\n"
    )
    printed = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert printed == "VADNode\nPipeline\nWebRTCManager\nremotemedia.nodes.ml.qwen\n"


def test_importing_the_package_does_not_read_the_table() -> None:
    program = (
        "import sys, remotemedia; from remotemedia import Node, Pipeline\n"
        "print(sorted(m for m in sys.modules if 'elsewhere' in m or 'multiprocessing' in m))\n"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_names_of_other_subjects_say_what_to_use_when_they_are_used() -> None:
    from remotemedia.control import SessionNotFoundError  # type: ignore[import-not-found]
    from remotemedia.nodes.ml import WhisperTranscriptionNode  # type: ignore[import-not-found]
    from remotemedia.remote import (  # type: ignore[import-not-found]
        RemoteProxyClient,
        remote_class,
    )

    scope: dict[str, object] = {}
    exec("from remotemedia.webrtc import *", scope)
    assert {"WebRTCManager", "WebRTCConfig"} <= scope.keys()
    with pytest.raises(RemoteMediaError, match="load the model in `initialize` of a node"):
        WhisperTranscriptionNode(model_id="any")
    with pytest.raises(RemoteMediaError, match="isolated=True"):

        @remote_class()
        class Mine:
            pass

    with pytest.raises(RemoteMediaError, match="RemoteProxyClient of the original SDK"):

        class Client(RemoteProxyClient):  # type: ignore[misc]
            pass

    with pytest.raises(RemoteMediaError, match="RemoteProxyClient"):
        RemoteProxyClient.connect("host")
    assert not isinstance(3, RemoteProxyClient)
    assert not hasattr(RemoteProxyClient, "_private")
    assert WhisperTranscriptionNode | None
    with pytest.raises(SessionNotFoundError):
        raise SessionNotFoundError("as any exception")


def test_names_that_never_were_are_not_found() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        remotemedia.nodes.Nonsense  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("remotemedia.nonsense")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("remotemedia.webrtc.nonsense")
    with pytest.raises(ImportError):
        from remotemedia.core import Nonsense  # noqa: F401
    assert not hasattr(Node, "nonsense")
