"""What no system decides: text files are UTF-8 whatever the locale says, and modules of Unix alone are not needed."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}  # Windows has none of these
OTHERS = {"os", "Image", "log"}  # whose `open` opens no text file


def opens_text(call: ast.Call) -> bool:
    """Whether a call opens a file for text."""
    name = getattr(call.func, "attr", getattr(call.func, "id", None))
    owner = getattr(call.func, "value", None)
    if name not in ("open", "read_text", "write_text") or getattr(owner, "attr", getattr(owner, "id", None)) in OTHERS:
        return False
    modes = [
        item.value for item in (*call.args, *(word.value for word in call.keywords)) if isinstance(item, ast.Constant)
    ]
    return name != "open" or not any(isinstance(mode, str) and "b" in mode for mode in modes)


def parsed():
    """Yield each module of the package, with its path."""
    for room in ("vae", "hand_env", "agents"):
        for path in (ROOT / room).rglob("*.py"):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def test_every_text_file_is_opened_with_its_encoding():
    seen = 0
    for path, module in parsed():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and opens_text(node):
                seen += 1
                assert "encoding" in {word.arg for word in node.keywords}, f"{path}:{node.lineno}"
    assert seen > 5


def test_no_module_needs_one_of_unix_to_be_imported():
    for path, module in parsed():
        names = {alias.name for node in module.body if isinstance(node, ast.Import) for alias in node.names}
        names |= {str(node.module) for node in module.body if isinstance(node, ast.ImportFrom)}
        assert not names & UNIX, path
