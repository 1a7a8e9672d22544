"""What the tests of pictures share."""

import pytest
from drawn_hands import write_download


@pytest.fixture
def download(tmp_path):
    return write_download(tmp_path / "11k-hands")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"
