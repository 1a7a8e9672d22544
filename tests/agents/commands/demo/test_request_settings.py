from dataclasses import dataclass, field
from typing import Literal

import pytest

from agents.commands.demo.request_settings import read_form


@dataclass(frozen=True)
class Form:
    name: str
    seed: int = 0
    size: Literal[32, 64] = 32
    shifts: list[float] = field(default_factory=list)

    def __post_init__(self):
        if self.seed < 0:
            raise ValueError("seed must be at least 0.")


def test_settings_are_read_and_the_others_keep_their_defaults():
    assert read_form(Form, b'{"name": "x", "size": 64, "shifts": [1, -0.5]}') == Form("x", 0, 64, [1, -0.5])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The settings must be JSON"),
        (b"\xff", "The settings must be JSON"),
        (b"[" * 100_000, "The settings must be JSON"),
        (b"[1]", "The settings must be a JSON object, got list"),
        (b"{}", "name must be a text, and it is missing"),
        (b'{"name": 1}', "name must be a text, got 1"),
        (b'{"name": "x", "seed": null}', "seed must be an integer, got None"),
        (b'{"name": "x", "seed": 1.5}', "seed must be an integer, got 1.5"),
        (b'{"name": "x", "seed": true}', "seed must be an integer, got True"),
        (b'{"name": "x", "seed": -1}', "seed must be at least 0"),
        (b'{"name": "x", "size": 48}', "size must be one of 32, 64, got 48"),
        (b'{"name": "x", "shifts": [NaN]}', "shifts must be a list of numbers"),
        (b'{"name": "x", "shifts": 1}', "shifts must be a list of numbers"),
        (b'{"name": "x", "sed": 1}', "There is no setting 'sed'. The settings are name, seed, size, shifts"),
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(content, message):
    with pytest.raises(ValueError, match=message):
        read_form(Form, content)
