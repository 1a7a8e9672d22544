"""The arguments of `handlatent package`; the command line is generated from them."""

from dataclasses import dataclass, field
from pathlib import Path

from agents.command_line.flags import RUN


@dataclass(frozen=True)
class PackageArgs:
    """Pack what draws a run's hands into a folder of weights, like those that come with the package."""

    run: Path = field(metadata=RUN)
    """Folder of a run of `handlatent recipe`."""
    out: Path = Path("package")
    """Folder for the files."""
