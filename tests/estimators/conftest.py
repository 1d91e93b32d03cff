"""What the tests of the estimators share."""

import pytest

from tailwise.estimators import _defaults


@pytest.fixture(autouse=True, scope="module")
def few_trees():
    """Let the default learner for tables grow few trees: these tests look at what is made of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_defaults, "_TREES", 100)
        yield
