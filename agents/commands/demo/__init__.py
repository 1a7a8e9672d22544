"""The command `handlatent demo`: a page to look and play. One module a tab; `page/` holds what the browser gets."""

from agents.commands.demo.args import DemoArgs
from agents.commands.demo.command import demo

__all__ = ["DemoArgs", "demo"]
