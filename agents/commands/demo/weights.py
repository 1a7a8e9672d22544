"""The weights that the page offers: the packaged sets, and the run that the command named."""

from pathlib import Path
from typing import get_args

from agents.runs.packaged import WeightSet, check_installed, load_packaged, packaged_samplers, packaged_sets, read_run
from agents.runs.run import Run
from vae.checks import check_one_of


class Weights:
    """Read each set of weights once, when it is first needed."""

    def __init__(self, run: Path | None = None, first: WeightSet = "photographs") -> None:
        """Read the user's own run, and look for the packaged sets; refuse what is wrong before the page opens.

        Args:
            run: Folder of a run or of a set of weights; None offers the packaged sets only.
            first: The packaged set that is offered before the other, if there is another.

        Raises:
            ValueError: If the run cannot be read, or this installation lacks the first set.
        """
        own = f"./{run}" if str(run) in get_args(WeightSet) else str(run)  # a folder may have a packaged set's name
        self._read: dict[str, Run] = {} if run is None else {own: read_run(run)}
        self._packaged = packaged_sets()
        check_installed(first)
        others = [name for name in self._packaged if name != first]
        self.names: tuple[str, ...] = (*self._read, first, *others)

    def __getitem__(self, name: str) -> Run:
        """Return a set by its name.

        Raises:
            ValueError: If the page offers no set of that name.
        """
        check_one_of("weights", name, self.names)
        if name not in self._read:
            self._read[name] = load_packaged(name)
        return self._read[name]

    def choices(self) -> dict[str, list[str]]:
        """Return the names of the sets, each with its samplers, the best first."""
        own = {name: list(run.samplers) for name, run in self._read.items() if name not in get_args(WeightSet)}
        packaged = {name: packaged_samplers(name) for name in self._packaged}
        return {name: {**packaged, **own}[name] for name in self.names}
