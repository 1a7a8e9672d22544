"""The arguments of `handlatent demo`; the command line is generated from them."""

from dataclasses import dataclass, field
from pathlib import Path

from agents.command_line.flags import OPTIONAL_RUN, SWITCH
from agents.runs.packaged import WeightSet
from vae.checks import check_between

MOST_PORT = 65535


@dataclass(frozen=True)
class DemoArgs:
    """Open a page to draw hands, move latents, watch agents and judge pictures. Needs the extra 'demo'."""

    run: Path | None = field(default=None, metadata=OPTIONAL_RUN)
    """Folder of a run or of a set of weights, offered first. Default: only the weights that come with the package."""
    weights: WeightSet = "photographs"
    """Which packaged weights are offered first: 'photographs', or 'synthetic', which only a checkout has."""
    host: str = "127.0.0.1"
    """Address that the page is served at. The default is this computer alone. With '0.0.0.0', everybody on the network
    can use the page: it asks for no password."""
    port: int = 7860
    """Port of the page; 0 takes any that is free."""
    browser: bool = field(default=True, metadata=SWITCH)
    """Whether to open the page in the browser."""


def check_args(args: DemoArgs) -> None:
    """Refuse wrong settings before anything is read.

    Raises:
        ValueError: If the port is out of range.
    """
    check_between("--port", args.port, 0, MOST_PORT)
