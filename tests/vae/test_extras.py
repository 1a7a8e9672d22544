import importlib

import pytest

from vae.extras import needing_extra


def test_a_package_that_is_missing_is_one_sentence_with_the_way_out():
    message = (
        r"^A picture needs the extra 'paint', and 'no_such_brush' is not installed\. "
        r"Install it in the checkout with: pip install -e \"\.\[paint\]\"$"
    )
    with pytest.raises(ImportError, match=message), needing_extra("paint", "A picture"):
        importlib.import_module("no_such_brush")


def test_another_error_stays_as_it_is():
    with pytest.raises(ValueError, match="other"), needing_extra("paint", "A picture"):
        raise ValueError("other")
