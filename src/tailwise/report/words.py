"""Sentences that say what the pictures show, computed from the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tailwise.counts import shot_groups, shot_thresholds
from tailwise.wording import plural, some, spoken

_NARROW = "\N{NARROW NO-BREAK SPACE}"
#: The groups from head to tail, as they are called in the text.
GROUPS = {group: f"{group}\N{NON-BREAKING HYPHEN}shot" for group in ("many", "medium", "few")}


class Drawn(NamedTuple):
    """The measure of each class that a report draws.

    Attributes
    ----------
    column : in the rows of the classes
    in_groups : in the groups' measures
    name : in sentences
    finds : what the model does by it, before its number and after it
    """

    column: str
    in_groups: str
    name: str
    finds: tuple[str, str]


_RECALL = Drawn("recall", "accuracy", "recall", ("the model finds", " of the examples"))
_PRECISION = Drawn("average_precision", "average_precision", "average precision", ("the average precision is", ""))

_NO_DIFFERENCE = 0.0005  # in three digits
_ENOUGH = 10  # predictions that say something of calibration


def drawn(evaluation: Mapping[str, Any]) -> Drawn:
    """Return what is drawn of an evaluation: recall or, of sets of labels, average precision."""
    return _PRECISION if any("average_precision" in m for m in evaluation["by_group"].values()) else _RECALL


def percent(share: float | None, digits: int = 0) -> str:
    """Return a share as a percentage; a dash where there is none."""
    return "–" if share is None else f"{100 * share:.{digits}f}{_NARROW}%"


def interval(estimate: Mapping[str, Any], digits: int = 0) -> str:
    """Return the interval of a share, or nothing where it has none."""
    if estimate.get("low") is None:
        return ""
    return f"{100 * estimate['low']:.{digits}f}–{percent(estimate['high'], digits)}"


def short(name: str, length: int = 22) -> str:
    """Return a name cut to a length that fits a label."""
    return name if len(name) <= length else name[: length - 1].rstrip() + "…"


def rarest(evaluation: Mapping[str, Any]) -> str:
    """Return the name of the rarest group that has test examples."""
    return next(group for group in reversed(GROUPS) if group in evaluation["by_group"])


def names(groups: Iterable[str]) -> dict[str, str]:
    """Return what the groups are called; a single one is "all"."""
    present = [group for group in GROUPS if group in groups]
    return {group: GROUPS[group] if len(present) > 1 else "all" for group in present}


def verdict(evaluation: Mapping[str, Any], baseline: Mapping[str, Any] | None = None) -> str:
    """Say in a sentence how good the model is for the rare classes, and beside plain training if that is known."""
    shown = drawn(evaluation)
    finds, of = shown.finds
    if (only := _only(evaluation)) is not None:
        of_its = of.replace("the", "its")
        return f"Only class {only['class']} was tested: {finds} {percent(only[shown.column])}{of_its}."
    (what, ours), (head, ours_there) = _ends(evaluation)
    sentence = f"In the {what} {finds} {percent(ours['value'])}{of}"
    if baseline is None:
        return f"{sentence}; in the {head} it {finds.split()[-1]} {percent(ours_there['value'])}."
    (_, theirs), (_, theirs_there) = _ends(baseline)
    change = ours_there["value"] - theirs_there["value"]
    pays = "loses nothing" if abs(change) < 0.005 else f"{'loses' if change < 0 else 'gains'} {_points(abs(change))}"
    return f"{sentence}, {_against(ours, theirs)}; the {head} {pays}."


def untested(evaluation: Mapping[str, Any]) -> str | None:
    """Return a sentence on the classes without a test example, or None if all that were trained on have one."""
    missing = [row["class"] for row in evaluation["per_class"] if row["train"] and not row["support"]]
    if not missing:
        return None
    has, them = ("has", "it") if len(missing) == 1 else ("have", "them")
    of = plural(len(evaluation["classes"]), "class", "classes")
    named = some(map(short, missing))
    return f"{len(missing):,} of {of} {has} no example here, so nothing is known about {them}: {named}."


def behind(evaluation: Mapping[str, Any], baseline: Mapping[str, Any] | None, objective: str) -> str | None:
    """Return a sentence where plain training does better by what the recipe was chosen for, or None."""
    ours, theirs = (found and found["overall"].get(objective) for found in (evaluation, baseline))
    if ours is None or theirs is None or theirs["value"] - ours["value"] < _NO_DIFFERENCE:
        return None
    told = f"By its objective, {spoken(objective)}, plain training does better on these test examples"
    overlap = "; their intervals overlap, so this may be chance" if _overlap(ours, theirs) else ""
    return f"{told}: {theirs['value']:.3f}, not {ours['value']:.3f}{overlap}."


def worst(evaluation: Mapping[str, Any]) -> str:
    """Name the classes with the lowest recall after a semicolon; nothing if all that were tested have the same."""
    if drawn(evaluation) != _RECALL:
        return ""
    tested = [row for row in evaluation["per_class"] if row["support"]]
    lowest = min(row["recall"] for row in tested)
    found = [row["class"] for row in tested if row["recall"] == lowest]
    if 1 < len(found) == len(tested):
        return ""
    return f"; the worst {'class is' if len(found) == 1 else 'classes are'} {some(found)}"


def _only(evaluation: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the one class that has examples, if it is only one."""
    if len(evaluation["by_group"]) > 1:
        return None
    tested = [row for row in evaluation["per_class"] if row["support"]]
    return tested[0] if len(tested) == 1 else None


def _ends(evaluation: Mapping[str, Any]) -> tuple[tuple[str, Mapping[str, Any]], tuple[str, Mapping[str, Any]]]:
    """Return name and measure of the tail and of the head: groups where there are several, else single classes."""
    groups = evaluation["by_group"]
    if len(groups) > 1:
        ends = (rarest(evaluation), next(iter(groups)))
        key = drawn(evaluation).in_groups
        tail, head = ((_average_class(evaluation, group), groups[group][key]) for group in ends)
        return tail, head
    rows = sorted((r for r in evaluation["per_class"] if r["support"]), key=lambda row: row["train"])
    name = drawn(evaluation).column
    estimates = [{"value": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]} for row in rows]
    return (
        (f"rarest class, {rows[0]['class']},", estimates[0]),
        (f"largest class, {rows[-1]['class']},", estimates[-1]),
    )


def _average_class(evaluation: Mapping[str, Any], group: str) -> str:
    codes = evaluation["groups"][group]
    if len(codes) == 1:
        return f"{GROUPS[group]} class, {short(evaluation['classes'][codes[0]])},"
    return f"average {GROUPS[group]} class"


def extent(evaluation: Mapping[str, Any], group: str) -> str:
    """Say how many classes a group has and how large they are."""
    sizes = [evaluation["class_counts"][code] for code in evaluation["groups"][group]]
    span = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,}–{max(sizes):,}"
    return f"{plural(len(sizes), 'class', 'classes')} of {span}"


def borders(class_counts: Sequence[int]) -> str:
    """Say how many training examples make a class many-shot or few-shot."""
    many, few = shot_thresholds(class_counts)
    if list(shot_groups(class_counts, many, few)) == ["medium"]:
        return "all classes have the same number of examples, so all are medium-shot"
    if len(class_counts) == 2:
        return "of two classes the larger is many-shot and the smaller few-shot"
    return f"many-shot: more than {many:,.10g} example{'s' * (many != 1)}; few-shot: fewer than {few:,.10g}"


def _against(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    gain = ours["value"] - theirs["value"]
    if abs(gain) < 0.005:
        return "as with plain training"
    return f"{_points(abs(gain))} {'more' if gain > 0 else 'less'} than plain training" + (
        " (their intervals overlap)" if _overlap(ours, theirs) else ""
    )


def _overlap(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    known = ours.get("low") is not None and theirs.get("low") is not None
    return known and ours["low"] <= theirs["high"] and theirs["low"] <= ours["high"]


def _points(share: float) -> str:
    value = f"{100 * share:.0f}" if share >= 0.0095 else f"{100 * share:.1f}"
    return f"{value} point" + ("" if value == "1" else "s")


def distribution(evaluation: Mapping[str, Any]) -> str:
    """Say how long the tail is."""
    counts: Sequence[int] = evaluation["class_counts"]
    what = "training examples" if drawn(evaluation) == _RECALL else "labels given in training"
    present = [c for c in counts if c]
    factor = max(present) / min(present)
    order = sorted(counts, reverse=True)
    total, head, reached = sum(order), 0, 0
    while reached < total / 2:
        reached += order[head]
        head += 1
    if factor < 1.5:
        return f"The {len(counts):,} classes are about equally frequent."
    return (
        f"{'One class holds' if head == 1 else f'{head:,} of {len(counts):,} classes hold'} half of the "
        f"{total:,} {what}; the largest class is {factor:,.{0 if factor >= 10 else 1}f} times the smallest."
    )


def by_size(evaluation: Mapping[str, Any], baseline: Mapping[str, Any] | None = None) -> str:
    """Say how recall, or average precision, changes from the head to the tail."""
    groups, shown = evaluation["by_group"], drawn(evaluation)
    name = shown.name.capitalize()
    if (only := _only(evaluation)) is not None:
        return f"{name} is {percent(only[shown.column])} in class {only['class']}; no other was tested."
    if len(groups) < 2:
        (tail, low), (head, high) = _ends(evaluation)
        return f"{name} is {percent(high['value'])} in the {head} and {percent(low['value'])} in the {tail[:-1]}."
    first, last = next(iter(groups)), rarest(evaluation)

    def drop(e: Mapping[str, Any]) -> float:
        return float(e["by_group"][first][shown.in_groups]["value"] - e["by_group"][last][shown.in_groups]["value"])

    gap = drop(evaluation)
    if abs(gap) < 0.005:
        sentence = f"{name} is the same for {GROUPS[first]} and {GROUPS[last]} classes"
    else:
        change = f"{'falls' if gap > 0 else 'rises'} by {_points(abs(gap))}"
        sentence = f"From {GROUPS[first]} to {GROUPS[last]} classes {shown.name} {change}"
    if baseline and first in baseline["by_group"] and last in baseline["by_group"]:
        plain = drop(baseline)
        moves = (
            f"{'falls' if plain > 0 else 'rises'} by {_points(abs(plain))}" if abs(plain) >= 0.005 else "stays the same"
        )
        sentence += f"; with plain training it {moves}"
    return sentence + "."


def comparison(rows: Sequence[Mapping[str, Any]], objective: str) -> str:
    """Say which recipe was chosen and how sure that is."""
    scored = [row for row in rows if row.get("score") is not None]
    chosen = next((row for row in scored if row["outcome"] == "selected"), None)
    if chosen is None or len(scored) < 2:
        return f"Scores are {objective} on held-out folds of the training data."
    drawn = [row for row in scored if row is not chosen and row.get("high") is not None]  # there was time for
    if chosen.get("low") is None or not drawn:
        sure = "there was no time for intervals"
    else:
        rivals = [row for row in drawn if row["high"] >= chosen["low"]]
        others = "that of one other" if len(rivals) == 1 else f"those of {len(rivals)} others"
        all_others = "all others" if len(drawn) == len(scored) - 1 else "all others that there was time for"
        sure = f"its interval overlaps with {others}" if rivals else f"its interval lies above {all_others}"
    sentence = f"{chosen['recipe']} was chosen for its {objective} on held-out folds; {sure}."
    better = [row["recipe"] for row in scored if row["outcome"] == "passed over"]
    if better:
        sentence += (
            f" {' and '.join(better)} scored higher, but by less than a standard error; plain training and its "
            "corrections are then preferred, as how well another training ends up is partly luck."
        )
    return sentence


def mistakes(flow: Mapping[str, Mapping[str, float]]) -> str:
    """Say where the wrongly predicted examples of the rarest group go."""
    group = list(flow)[-1]
    wrong = {to: share for to, share in flow[group].items() if to != "right"}
    total = sum(wrong.values())
    if total == 0:
        return f"No {GROUPS[group]} example is predicted wrong."
    if len(flow) == 1:
        return f"{percent(total)} of the test examples are predicted wrong."
    to = max(wrong, key=lambda name: wrong[name])
    return (
        f"{percent(total)} of {GROUPS[group]} examples are predicted wrong; {percent(wrong[to] / total)} of those "
        f"are taken for a {GROUPS[to]} class."
    )


def calibration(evaluation: Mapping[str, Any]) -> str:
    """Say how far confidence is from accuracy, and in which direction."""
    parts = []
    for group, cells in evaluation["reliability"].items():
        n = sum(cells["count"])
        gap = (sum(cells["confidence"]) - sum(cells["right"])) / n
        if group != "all" and (n >= _ENOUGH or len(evaluation["reliability"]) == 2):
            parts.append((group, gap))
    if not parts:
        return f"No group has {_ENOUGH} predictions, too few to say how well confidence matches accuracy."
    group, gap = max(parts, key=lambda part: abs(part[1]))
    if abs(gap) < 0.02:
        return "On average, confidence matches accuracy within 2 points in every group."
    if len(parts) == 1:
        return f"The model is {_points(abs(gap))} {'too confident' if gap > 0 else 'too cautious'} on average."
    return (
        f"Predictions of {GROUPS[group]} classes are the furthest off: {_points(abs(gap))} "
        f"{'too confident' if gap > 0 else 'too cautious'} on average."
    )
