from pathlib import Path

import pytest

from agents.runs.json_rules import NUMBER, NUMBERS, check_rules
from vae.files import DamagedError


def test_an_integer_that_no_float_holds_is_no_number():
    for value in (10**400, -(10**400), float("nan"), True, "1"):
        with pytest.raises(DamagedError, match=r"'a.json' is damaged: kappa must be a finite number, got"):
            check_rules(Path("a.json"), {"kappa": value}, {"kappa": NUMBER})
    check_rules(Path("a.json"), {"kappa": 10**300}, {"kappa": NUMBER})
    with pytest.raises(DamagedError, match="must be an object of numbers"):
        check_rules(Path("a.json"), {"row": {"a": 1, "b": 10**400}}, {"row": NUMBERS})
