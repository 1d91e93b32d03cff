"""What the tests of the commands share."""

import pytest

from tailwise.estimators import _defaults, _objective


@pytest.fixture(autouse=True, scope="module")
def in_little_time():
    """Let default learners grow few trees and intervals take few resamples: these tests ask for no more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_defaults, "_TREES", 60)
        patch.setattr(_objective, "_RESAMPLES", 40)
        yield
