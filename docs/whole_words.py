"""A hook of MkDocs: no line breaks inside flags and file names in a line of text or a command, nor inside a figure."""

import re
from typing import Any

LONGEST = 30  # characters; a longer word must be able to break on a phone
_COMMANDS = re.compile(r'(?<=<div class="language-sh highlight">).*?(?=</div>)', re.S)
_TAG_OR_WORD = re.compile(r"(<[^>]*>)|([^\s<>]*-[^\s<>]*)")
_CODE = re.compile(r"(?<=<code>)[^<\n]*(?=</code>)")
_CELL = re.compile(r"(?<=<td>)[^<\n]*")
_WORD = re.compile(r"[^\s<>]*-[^\s<>]*")
_INTERVAL = re.compile(r"\([^\s()]+ to [^\s()]+\)|(--)?[a-z]+-[\w-]+|--[a-z]+")  # or the name of an agent, or a flag
_BY_AGENT = re.compile(r"<table>(?=\s*<thead>\s*<tr>\s*<th>sampler</th>\s*<th>agent</th>)")
_PERCENT = re.compile(r"(?<=\d) (?=%)")


def on_page_content(html: str, **_: Any) -> str:
    """Mark what `assets/extra.css` then keeps whole, and join a number to its percent sign."""
    html = _COMMANDS.sub(lambda block: _TAG_OR_WORD.sub(lambda part: part[1] or _marked(part), block[0]), html)
    html = _CODE.sub(lambda code: _WORD.sub(_marked, code[0]), html)
    html = _CELL.sub(lambda cell: _INTERVAL.sub(_marked, cell[0]), html)
    html = _BY_AGENT.sub('<table data-names="2">', html)  # its second column tells its rows apart
    return _PERCENT.sub("&nbsp;", html)


def _marked(word: re.Match[str]) -> str:
    return word[0] if len(word[0]) > LONGEST else f'<span class="whole">{word[0]}</span>'
