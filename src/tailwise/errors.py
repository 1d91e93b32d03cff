"""The errors that Tailwise raises on purpose. A message is one line: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TailwiseError(ValueError):
    """An input, option or file cannot be used as it is.

    It is a ``ValueError``, so that scikit-learn and its users can treat it as one.
    """


class DataWarning(UserWarning):
    """Something in the data is left out or taken as missing that may not have been meant so."""


class UnsavableWarning(TailwiseError, UserWarning):  # noqa: N818 (a warning, unless what is trained has to be saved)
    """What is about to be trained could not be saved; where it has to be, this is raised as an error."""


class Interrupted(TailwiseError):  # noqa: N818 (nothing is wrong)
    """The user, or what ends processes, stopped what can be continued; the message says how.

    Attributes
    ----------
    code : what the command exits with
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class MissingExtraError(TailwiseError, ImportError):
    """A required package is not installed; the message has the command that installs it."""


class AbsentError(TailwiseError, KeyError):
    """There is nothing of this name.

    It is also a ``KeyError``, but without quotation marks around the message.
    """

    __str__ = Exception.__str__


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` with the known name closest to ``name``, or an empty string.

    Names that start with ``name`` are preferred, if it has at least three letters.
    """
    typed = str(name).lower()
    by_lower = {str(k).lower(): str(k) for k in known}
    longer = [k for k in by_lower if k.startswith(typed)] if len(typed) >= 3 else []
    close = difflib.get_close_matches(typed, longer or by_lower, n=1, cutoff=0 if longer else 0.5)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""
