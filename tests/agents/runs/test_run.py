from typing import Any

import pytest

from agents.runs.run import Run


@pytest.mark.parametrize(
    ("settings", "seed"),
    [
        ({"data": "photographs", "seed": 5}, 5),  # of `handlatent train`
        ({"data": "synthetic", "seed": 5}, 0),  # no person to keep apart: the judges' split
        ({"data": "photographs", "seed": 5, "split_seed": 0}, 0),  # of `handlatent recipe`
        ({"data": "synthetic", "seed": 5, "split_seed": 7}, 7),
    ],
)
def test_a_run_knows_the_seed_that_keeps_its_training_people_apart(settings, seed):
    nothing: Any = None
    assert Run(settings, nothing, {}, nothing, None, None).split_seed == seed
