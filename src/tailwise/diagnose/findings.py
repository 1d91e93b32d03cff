"""Turn a diagnosis into sentences, each with the number and the next step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import SupportsInt
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from tailwise.data.labels import OFTEN_MISSING
from tailwise.diagnose.leaks import LEAK
from tailwise.diagnose.result import Column, Diagnosis, Finding, Severity
from tailwise.wording import few_of_each, plural, some, times

_ORDER = {"problem": 0, "warning": 1, "note": 2}
#: A column whose most frequent value has at least this share is nearly constant.
NEAR_CONSTANT = 0.995
#: From this ratio of the largest to the smallest class on, plain training visibly favours the head.
IMBALANCED = 10
_WIDE = 100  # examples below which the results of a class are uncertain
_NO_CLASSES = {"(null)", "[null]", "missing", "nat"}  # beside those that count as missing in a feature


def find(
    diagnosis: Diagnosis,
    similar: Sequence[tuple[str, ...]] = (),
    padded: str | None = None,
    words: str = "",
    nested: Sequence[str] = (),
    short: str | None = None,
) -> tuple[Finding, ...]:
    """Return the findings, most severe first.

    Parameters
    ----------
    diagnosis : the measures
    similar : groups of class names that may mean the same class
    padded : sentence on labels with surrounding blanks, if there are any
    words : words that count as no label, in brackets
    nested : columns of lists and structures
    short : sentence on rows with too few fields, if there are any
    """
    found = [*_classes(diagnosis, similar), *_rows(diagnosis, words), *_columns(diagnosis)]
    if padded is not None:
        found.append(Finding("note", padded))
    if short is not None:
        found.append(Finding("warning", short[:1].upper() + short[1:]))
    if nested:
        found.append(
            Finding(
                "warning",
                "No feature can be made of lists, structures or bytes, so training leaves out "
                f"{some(map(repr, nested))}: put what matters of them into columns of its own.",
            )
        )
    return tuple(sorted(found, key=lambda finding: _ORDER[finding.severity]))


def _classes(d: Diagnosis, similar: Sequence[tuple[str, ...]]) -> Iterator[Finding]:
    counts, names = d.class_counts, np.array(d.classes, dtype=object)
    present = counts > 0
    if present.sum() == 1:
        only = names[present][0]
        yield Finding("problem", f"All labels are {only!r}: a classifier needs examples of at least two classes.")
        return
    sets = d.labels_per_row
    measure, whole = "balanced accuracy", "the labelled rows"
    if sets is not None and d.set_sizes is not None:
        measure, whole = "macro average precision", "all labels given"
        none = int(d.set_sizes[0])
        yield Finding(
            "note",
            f"A row has {sets:.3g} labels on average and {_n(len(d.set_sizes) - 1)} at most"
            + (
                f"; {plural(none, 'row')} {_have(none)} none, which counts as an empty set, not as missing."
                if none
                else "."
            ),
        )
    elif (mark := _joint(d.classes)) is not None:
        yield Finding(
            "warning",
            f"Some classes look like sets of others, separated by {mark!r}: if a row has a set of labels, pass "
            f"--separator {mark!r}.",
        )
    if present.sum() > counts.sum() / 2 and counts.sum() >= 20:
        yield Finding(
            "problem",
            f"The target has {_n(present.sum())} distinct values in {_n(counts.sum())} labelled rows: it looks like a "
            "number or an identifier, not a class; choose another target or group its values.",
        )
    if not present.all():
        yield Finding(
            "problem", f"{_some(names[~present], 'class', 'classes')} no example: collect some, or drop the class."
        )
    single = names[counts == 1]
    if single.size == present.sum():
        yield Finding("problem", "No class has two examples, so nothing can be held out to test a model: collect more.")
    elif single.size:
        yield Finding(
            "warning",
            f"{_some(single, 'class', 'classes')} one example, which stays in training, so nothing can be tested "
            "there: collect at least one more of each, or merge it with a related class.",
        )
    odd = [name for name in names[present] if name.strip().casefold() in OFTEN_MISSING | _NO_CLASSES]
    if odd:
        they = "The class" if len(odd) == 1 else "The classes"
        yield Finding("warning", f"{they} {some(map(repr, odd))} may mean that there is no label: leave it empty then.")
    for group in similar:
        one_look = len({normalize("NFC", name) for name in group}) < len(group)
        differ = "their Unicode characters" if one_look else "case, blanks, hidden signs or zeros"
        yield Finding(
            "warning",
            f"The labels {', '.join(map(ascii if one_look else repr, group))} differ only in {differ}: if they mean "
            "the same class, write them the same way.",
        )
    factor = d.imbalance_factor
    if factor >= IMBALANCED:
        largest, smallest = counts.argmax(), np.where(present, counts, counts.max()).argmin()
        yield Finding(
            "warning",
            f"The largest class, {names[largest]!r}, has {_n(counts[largest])} examples and the smallest, "
            f"{names[smallest]!r}, {_n(counts[smallest])}: an imbalance factor of {times(factor)}. Plain training "
            f"favours the head; compare recipes by {measure}.",
        )
    else:
        yield Finding(
            "note", f"The imbalance factor is {factor:.3g}: the tail is short, and plain training may be enough."
        )
    rare = d.groups.get("few", np.array([], dtype=int))
    if rare.size and factor >= IMBALANCED and counts[rare].max() < _WIDE:
        yield Finding(
            "note",
            f"{_n(rare.size)} of {_n(counts.size)} classes {_have(rare.size)} at most "
            f"{plural(int(counts[rare].max()), 'example')}, together {_share(counts[rare].sum(), counts.sum())} of "
            f"{whole}: expect wide intervals for their results.",
        )


def _joint(names: Sequence[str]) -> str | None:
    """Return the separator in names that join other classes, if a tenth of the names do; else None."""
    known = set(names)
    for mark in "|;,/":
        sets = [{part.strip() for part in name.split(mark)} for name in names if mark in name]
        if sum(parts <= known for parts in sets) >= max(3, len(names) / 10):
            return mark
    return None


def _rows(d: Diagnosis, words: str) -> Iterator[Finding]:
    if d.n_unlabelled:
        share = d.n_unlabelled / d.n_rows
        yield Finding(
            "warning" if share >= 0.05 else "note",
            f"{plural(d.n_unlabelled, 'row')} ({_share(d.n_unlabelled, d.n_rows)}) {_have(d.n_unlabelled)} no label"
            f"{words}: left out of training and test; label them if they are not missing at random.",
        )
    twins = d.duplicates
    if twins is None:
        yield Finding("problem", "There are only labels: add columns to learn from.")
        return
    about = "About " if twins.one_in > 1 else ""
    aside = [column for column in d.columns if column.identifier]
    but = f" but {_these(aside)}" if aside else ""
    how = f" (estimated from one content in {twins.one_in})" if twins.one_in > 1 else ""
    if twins.conflicting:
        what = "label" if d.set_sizes is None else "set of labels"
        yield Finding(
            "warning",
            f"{about}{_n(twins.conflicting)} rows ({_share(twins.conflicting, d.n_rows)}) equal others in every "
            f"feature{but}, but have another {what}{how}: no model can get them all right; correct the labels or add a "
            "feature that tells them apart.",
        )
    if twins.rows:
        share = twins.rows / d.n_rows
        yield Finding(
            "warning" if share >= 0.01 else "note",
            f"{about}{plural(twins.rows, 'row')} ({_share(twins.rows, d.n_rows)}) repeat{'s' * (twins.rows == 1)} "
            f"another{' in all' + but if but else ''}{how}: copies that fall on "
            "both sides of a split flatter the test; remove them, unless they are independent observations.",
        )


def _columns(d: Diagnosis) -> Iterator[Finding]:
    examined = f"{_n(d.sampled)} sampled rows" if d.sampled < d.n_rows else "rows"
    found: dict[Severity, list[tuple[str, str]]] = {}
    for column in d.columns:
        for severity, sentence, rest in _column(column, d.n_rows):
            found.setdefault(severity, []).append((sentence, rest))
    for severity, pairs in found.items():
        yield from (Finding(severity, sentence) for sentence in few_of_each(pairs))
    present = [column for column in d.columns if column.missing < d.n_rows]
    constant = [c for c in present if c.top_share == 1 and c.distinct == 1 and not c.missing]
    settled = {column.name for column in constant}
    nearly = [c for c in present if c.top_share >= NEAR_CONSTANT and c.name not in settled]
    if constant:
        yield Finding(
            "warning",
            f"{_named(constant)} the same value in all {examined}: drop {_them(constant)}.",
        )
    if nearly:
        least = _most(min(column.top_share for column in nearly), d.sampled < d.n_rows)
        bound = "at least " if len(nearly) > 1 and least != "all" else ""
        yield Finding(
            "note",
            f"{_named(nearly)} the same value in {bound}{least} {examined}: drop {_them(nearly)}, unless rare values "
            "mark a rare class.",
        )


def _named(columns: Sequence[Column]) -> str:
    names = _these(columns)
    return f"Column {names} has" if len(columns) == 1 else f"{_n(len(columns))} columns ({names}) have"


def _these(columns: Sequence[Column]) -> str:
    return some(repr(column.name) for column in columns)


def _them(columns: Sequence[Column]) -> str:
    return "it" if len(columns) == 1 else "them"


def _column(column: Column, n_rows: int) -> Iterator[tuple[Severity, str, str]]:
    """Yield how severe a finding is, a sentence about the column, and one about any like it."""
    name = repr(column.name)
    named = f"name it as the id (--id {name}; in Python id={name})"
    if column.missing == n_rows:
        yield "warning", f"Column {name} is empty: drop it.", "are empty: drop them"
        return
    if column.predicts is not None and column.predicts >= LEAK:
        what = f"Column {name} alone predicts {100 * column.predicts:.3g} % of what can be predicted of held-out labels"
        if column.names_class:
            whose = "hold the names of the classes: drop them too"
            yield (
                "problem",
                f"Column {name} holds the name of the class, which leaks the answer: drop it, or {named}.",
                whose,
            )
        elif column.identifier:
            numbered = "although its values never repeat: rows seem to be numbered class by class"
            yield "problem", f"{what}, {numbered}; {named}.", "number the rows class by class, it seems: drop them"
        else:
            unless = "unless it is known before the label is, it leaks the answer; drop it."
            yield "problem", f"{what}: {unless}", f"alone predict {100 * LEAK:.3g} % of that or more: drop them too"
    elif column.tells is not None:
        what = f"Column {name} alone tells {column.tells!r} from all others on held-out rows"
        unless = "unless it is known before the label is, it leaks that class; drop it."
        yield "warning", f"{what}: {unless}", "alone tell a class from all others: drop those that leak it"
    elif column.identifier:
        yield (
            "note",
            f"Column {name} looks like an identifier, since its values never repeat: {named}, so that nothing is "
            "learned from it.",
            "look like identifiers: drop them",
        )
    if column.missing:
        share = column.missing / n_rows
        values = f"Column {name} has {plural(column.missing, 'missing value')} ({_share(column.missing, n_rows)})"
        if share >= 0.5:
            unless = "unless being missing means something"
            yield "warning", f"{values}: drop it, {unless}.", f"miss at least half of their values: drop them, {unless}"
        else:
            yield "note", f"{values}: encoded as missing.", "have missing values, encoded as missing"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _n(count: SupportsInt) -> str:
    return f"{int(count):,}"


def _most(share: float, of_some: bool) -> str:
    return "all" if share == 1 else f"{math.floor(1e4 * share + 1e-6) / 100:.4g} % of{'' if of_some else ' the'}"


def _share(part: SupportsInt, whole: SupportsInt) -> str:
    percent = 100 * int(part) / int(whole)
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"


def _some(names: NDArray[np.object_], one: str, several: str) -> str:
    return f"{plural(len(names), one, several)} ({some(map(repr, names))}) {_have(len(names))}"
