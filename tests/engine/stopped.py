"""A training that stops as soon as it has written a checkpoint, as one that is interrupted would."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from tailwise.engine import _checkpoint


@contextmanager
def stopped_after(epochs: int) -> Iterator[None]:
    """Stop the training inside the context when it has written a checkpoint after so many epochs."""
    left, write = iter(range(epochs - 1)), _checkpoint.write

    def last(*state: object) -> None:
        write(*state)
        if next(left, None) is None:
            raise KeyboardInterrupt

    with mock.patch.object(_checkpoint, "write", last), pytest.raises(KeyboardInterrupt):
        yield
