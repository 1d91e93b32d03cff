"""The errors that Tailwise raises on purpose. Their message is one line: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TailwiseError(ValueError):
    """Input, option or file that cannot be used as it is.

    A ``ValueError``, so that scikit-learn and its users can treat it as one.
    """


class Interrupted(TailwiseError):  # noqa: N818 (nothing is wrong)
    """The user stopped what can be continued; the message says how."""


class MissingExtraError(TailwiseError, ImportError):
    """A package that is needed is not installed; the message has the command that installs it."""


class AbsentError(TailwiseError, KeyError):
    """Something asked for by name is not there.

    Also a ``KeyError``, but without its quotation marks around the message.
    """

    __str__ = Exception.__str__


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known name nearest to ``name``, or an empty string.

    Names that start with what was typed, if that is three letters or more, come first.
    """
    typed = str(name).lower()
    by_lower = {str(k).lower(): str(k) for k in known}
    longer = [k for k in by_lower if k.startswith(typed)] if len(typed) >= 3 else []
    close = difflib.get_close_matches(typed, longer or by_lower, n=1, cutoff=0 if longer else 0.5)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""
