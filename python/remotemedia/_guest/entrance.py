"""What a worker does before the first code of a session runs."""

from __future__ import annotations

from collections.abc import Sequence

from remotemedia._guest import interrupts, process
from remotemedia._guest.faults import Fault
from remotemedia._guest.modules import LoadedModules
from remotemedia._guest.output import OutputCapture
from remotemedia._guest.surroundings import Process, Surroundings


class Entrance:
    """Prepares this process for each session.

    Attributes:
        is_first: whether no session has run yet.
    """

    def __init__(self, modules: LoadedModules, output: OutputCapture) -> None:
        self._modules = modules
        self._output = output
        self._process = Process()
        self.is_first = True

    def enter(self, surroundings: Surroundings | None, left: Sequence[str]) -> None:
        """Prepare this process.

        Args:
            surroundings: of the caller; None leaves them.
            left: names of the rows of `hygiene` whose changes could not be undone.

        Raises:
            Fault: this worker cannot host the session; the orchestrator takes another.
        """
        try:
            self._enter(surroundings, left)
        except Fault:
            raise
        except Exception as error:
            if self.is_first:
                raise
            # Nodes of earlier sessions may have replaced a function that is needed here.
            raise Fault("stale", "", error) from None

    def _enter(self, surroundings: Surroundings | None, left: Sequence[str]) -> None:
        process.state.repair(left)
        interrupts.forget()
        changed = self._modules.changed()
        if changed is not None:
            raise Fault("stale", "", ImportError(f"{changed} has changed since it was loaded"))
        if left:  # the orchestrator does not know: it received no `Closed` message
            raise Fault("stale", "", RuntimeError(f"still changed: {', '.join(left)}"))
        self._output.attach()
        process.state.begin()
        if surroundings is not None:
            self._process.enter(surroundings)
