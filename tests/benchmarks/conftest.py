import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """A function that imports a script by its name; scripts import their neighbours so."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module
