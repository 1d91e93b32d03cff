"""Measure how far a single column reveals the label."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl
    from scipy.sparse import csr_array

#: Share of what can be predicted of the labels from which a column is taken to reveal them.
LEAK = 0.95
#: Minimum number of rows outside the largest class, or with a class and without it, for judging a column.
_ENOUGH = 20
#: Seed of the halves. It is not 0, because data may have been shuffled with seed 0, and the halves would then follow
#: the original order of the classes.
_SEED = 0x7A11
#: Characters of a text in which names of classes are looked for, and what is a word there.
_LOOKED_AT, _WORD = 300, r"[\p{L}\p{N}]+"
#: Rows per bin of a numeric column with many values.
_BIN = 20


def held_out_lambda(
    codings: Sequence[NDArray[np.int64]], labels: NDArray[np.int64], random_state: int = _SEED
) -> float | None:
    """Return Goodman and Kruskal's lambda of the label given one column, measured on held-out rows.

    Each half of the rows gives the most frequent label of each value, which predicts the labels of the other half. With
    accuracy ``a``, and ``b`` the accuracy of always predicting the most frequent label, lambda is ``(a - b) / (1 -
    b)``: 0 for a column without information, 1 for one that determines the label. Values that do not occur in the other
    half predict the most frequent label, so an identifier scores 0, while its in-sample purity would be 1.

    Parameters
    ----------
    codings : of the column, from :func:`value_codes`; what reveals most counts
    labels : (n,) class codes, none missing
    random_state : seed of the halves

    Returns
    -------
    lambda from 0 to 1, or None if fewer than 20 rows are outside the largest class

    Source: Goodman and Kruskal, Measures of Association for Cross Classifications, JASA 1954, section 5.
    Deviates: measured on held-out rows; negative values are set to 0.
    """
    n = labels.size
    if n == 0 or n - np.bincount(labels).max() < _ENOUGH:
        return None
    first = np.random.default_rng(random_state).permutation(n) < n // 2
    return max(_lambda(codes, labels, first) for codes in codings)


def told_class(
    codings: Sequence[NDArray[np.int64]], members: csr_array, random_state: int = _SEED
) -> tuple[int, float] | None:
    """Return the class that one column tells best from all others, and how well, measured on held-out rows.

    This is lambda, as :func:`held_out_lambda` has it, of each class against all others: a row is taken to have a class
    if more than half of the other half's rows with the same value have it. In a tie it is the rarest class.

    Parameters
    ----------
    codings : of the column, as there
    members : (n, n_classes) 1 where a row has a class, else 0; a row may have several
    random_state : seed of the halves

    Returns
    -------
    code of the class, and lambda up to 1; None if no class is in at least 20 rows and missing in as many
    """
    from scipy.sparse import csr_array

    n = members.shape[0]
    there = members.sum(axis=0)
    rest = np.minimum(there, n - there)
    judged = np.flatnonzero(rest >= _ENOUGH)
    if not judged.size:
        return None
    first = np.random.default_rng(random_state).permutation(n) < n // 2
    best = np.full(members.shape[1], -np.inf)
    for codes in codings:
        has_value = csr_array((np.ones(n), (np.arange(n), codes)))
        hits = taken = 0
        for learn in (first, ~first):
            together = (has_value[learn].T @ members[learn]).tocoo()
            together.data = (2 * together.data > has_value[learn].sum(axis=0)[together.row]).astype(float)
            predicted = has_value[~learn] @ together
            hits, taken = hits + predicted.multiply(members[~learn]).sum(axis=0), taken + predicted.sum(axis=0)
        wrong = there + taken - 2 * hits
        best[judged] = np.maximum(best[judged], 1 - wrong[judged] / rest[judged])
    told = min(judged, key=lambda c: (-best[c], there[c]))
    return int(told), float(best[told])


def class_named(values: pl.Series, classes: Collection[str]) -> pl.Series:
    """Return the first class whose name is a word of each text, as in the path of an image; null where none is.

    Parameters
    ----------
    values : (n,) strings, of which the first characters are looked at
    classes : names of one word each are looked for, whatever their case
    """
    import polars as pl

    texts = values.str.slice(0, _LOOKED_AT).str.to_lowercase()
    words = pl.DataFrame({"row": pl.arange(len(texts), eager=True), "word": texts.str.extract_all(_WORD)})
    found = (
        words.explode("word")
        .filter(pl.col("word").is_in([name.lower() for name in classes]))
        .unique("row", keep="first")
    )
    return words.select("row").join(found, on="row", how="left", maintain_order="left")["word"]


def _lambda(codes: NDArray[np.int64], labels: NDArray[np.int64], first: NDArray[np.bool_]) -> float:
    """Return the lambda of the label given codes, each half predicted from the other."""
    n, n_classes = labels.size, labels.max() + 1
    right = usual = 0
    for learn in (first, ~first):
        most_frequent = np.bincount(labels[learn]).argmax()
        of_value = np.full(codes.max() + 1, most_frequent)
        pairs, times = np.unique(codes[learn] * n_classes + labels[learn], return_counts=True)
        value, label = np.divmod(pairs[np.argsort(times, kind="stable")], n_classes)
        of_value[value] = label  # the most frequent label of each value is written last
        right += int((of_value[codes[~learn]] == labels[~learn]).sum())
        usual += int((labels[~learn] == most_frequent).sum())
    return max(0.0, (right - usual) / (n - usual))


def value_codes(values: pl.Series) -> list[NDArray[np.int64]]:
    """Return the ways in which a column may reveal a label, each as (n,) integer codes, 0 for missing.

    The values are one; of a column with gaps also whether there is a value, and of numbers with many distinct values
    also bins of about 20 rows.
    """
    values = values.fill_nan(None) if values.dtype.is_float() else values
    codes = values.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    codings = [codes]
    per_value = np.bincount(codes, minlength=1)
    if 0 < per_value[0] < codes.size:
        codings.append(np.minimum(codes, 1))
    if (values.dtype.is_numeric() or values.dtype.is_temporal()) and codes.size < _BIN * per_value.size:
        per_value[0] = 0
        codings.append(np.where(codes == 0, 0, 1 + np.cumsum(per_value)[codes] // _BIN))
    return codings
