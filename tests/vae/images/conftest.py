"""What the tests of pictures share."""

import os
from pathlib import Path

import pytest
from drawn_hands import write_download


@pytest.fixture
def download(tmp_path):
    return write_download(tmp_path / "11k-hands")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def photographs():
    """The folder of the real photographs; the test is skipped where there is none."""
    folder = os.environ.get("HANDLATENT_DATA")
    if not folder or not (Path(folder) / "11k-hands" / "HandInfo.csv").is_file():
        pytest.skip("HANDLATENT_DATA names no folder that holds 11k-hands")
    return Path(folder) / "11k-hands"
