from pathlib import Path

from agents.cli import COMMANDS
from agents.command_line.parser import make_parser
from agents.command_line.shell_words import command, given
from agents.commands.recipe import RecipeArgs
from agents.commands.refine import RefineArgs


def test_words_that_begin_with_a_dash_are_read_back_as_they_were():
    kinds = {name: COMMANDS[name][0] for name in ("refine", "recipe")}
    for name, args in (
        ("refine", RefineArgs(Path("-run"), refine_below=-1.5, out=Path("-out"))),
        ("refine", RefineArgs(Path("run"), refine_below=float("-inf"))),
        ("recipe", RecipeArgs("-photographs", accept=1.0)),
    ):
        assert make_parser(kinds).parse_args([name, *given(args)]).settings == args
    assert command("generate", Path("-run")).endswith(" generate ./-run")
