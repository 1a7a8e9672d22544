import sys

from agents.commands.train.training import peak_memory_gb


def test_the_peak_of_the_memory_is_measured_where_the_system_says_it(monkeypatch):
    held = peak_memory_gb()
    assert held is not None
    assert 0.05 < held < 1000
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert peak_memory_gb() is None
