import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "keras_peer.py"


def test_without_tensorflow_it_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # as if it were not installed
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")  # the script sets both; they are put back
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    with pytest.raises(SystemExit, match=r"needs TensorFlow.*pip install -c constraints.txt -e \"\.\[bench\]\""):
        runpy.run_path(str(SCRIPT))
