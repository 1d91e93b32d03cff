"""The pictures of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from tailwise.report.svg import LogScale, Plot, number
from tailwise.report.words import GROUPS, drawn, interval, names, percent, short
from tailwise.wording import plural

LISTED = 24  # classes up to which each has its own labelled bar
WHISKERS = 120  # classes up to which each has its interval drawn


def _group_of(groups: Mapping[str, Sequence[int]]) -> dict[int, str]:
    return {code: name for name, members in groups.items() for code in members}


def distribution(classes: Sequence[str], counts: Sequence[int], groups: Mapping[str, Sequence[int]]) -> Markup:
    """Draw the training examples of each class, largest first, on a logarithmic axis."""
    order = sorted(range(len(counts)), key=lambda c: -counts[c])
    group_of = _group_of(groups)
    scale = LogScale(counts, pad=1.6 if len(counts) <= LISTED else 1.35)
    if len(counts) <= LISTED:
        return _bars(classes, counts, order, group_of, scale)
    height, k = 220.0, len(counts)
    title = f"Training examples of {k} classes, largest first, logarithmic axis"
    plot = Plot(height + 44, title, "framed" if k <= 120 else "framed crisp")
    for tick in scale.ticks():
        y = height * (1 - scale(tick))
        plot.line(0, y, 1, y, "grid")
        plot.text(0, y + 4, number(tick), "tick", dx=-8, anchor="end")
    gap = 0.15 if k <= 120 else 0.0
    for rank, code in enumerate(order):
        top = height * (1 - scale(counts[code]))
        hover = f"{classes[code]}: {plural(int(counts[code]), 'example')}"
        plot.bar((rank + gap / 2) / k, (1 - gap) / k, top, height - top, f"fill-{group_of[code]}", hover)
    start = 0
    for group in (g for g in GROUPS if g in groups):
        n = len(groups[group])
        plot.line((start + 0.1) / k, height + 9, (start + n - 0.1) / k, height + 9, f"bracket line-{group}")
        if n / k > 0.12:
            label = f"{n} {group}"
            plot.text((start + n / 2) / k, height + 28, label, f"label bracketed ink-{group}")
        start += n
    return plot.markup()


def _bars(
    classes: Sequence[str], counts: Sequence[int], order: Sequence[int], group_of: Mapping[int, str], scale: LogScale
) -> Markup:
    row = 26.0 if len(counts) <= 12 else 21.0
    plot = Plot(row * len(counts) + 4, "Training examples of each class, largest first, logarithmic axis", "listed")
    for rank, code in enumerate(order):
        y = rank * row
        hover = f"{classes[code]}: {plural(int(counts[code]), 'example')}"
        plot.text(0, y + row / 2 + 4, short(classes[code], 16), "label", dx=-10, anchor="end", hover=classes[code])
        end = 0.88 * scale(counts[code])
        plot.bar(0, end, y + 4, row - 8, f"fill-{group_of[code]}", hover)
        plot.text(end, y + row / 2 + 4, f"{int(counts[code]):,}", "tick", dx=7, anchor="start")
    return plot.markup()


def by_size(evaluation: Mapping[str, Any], baseline: Mapping[str, Any] | None = None) -> Markup:
    """Draw each class's recall, or average precision, over its training examples, and the mean of each group."""
    height, shown = 300.0, drawn(evaluation)
    name, low_end, high_end = shown.column, f"{shown.column}_low", f"{shown.column}_high"
    rows = [row for row in evaluation["per_class"] if row[name] is not None]
    plain = {r["class"]: r[name] for r in baseline["per_class"]} if baseline else {}
    scale = LogScale([row["train"] for row in evaluation["per_class"]])
    plot = Plot(height + 44, f"{shown.name.capitalize()} of each class over its number of training examples", "framed")
    for tick in (0, 0.25, 0.5, 0.75, 1):
        y = height * (1 - tick)
        plot.line(0, y, 1, y, "axis" if tick == 0 else "grid")
        plot.text(0, y + 4, percent(tick), "tick", dx=-8, anchor="end")
    for tick in scale.ticks():
        plot.line(scale(tick), height, scale(tick), height + 5, "axis")
        plot.text(scale(tick), height + 20, number(tick), "tick")
    plot.text(0.5, height + 40, "training examples of the class", "tick")
    whiskers = len(evaluation["classes"]) <= WHISKERS
    radius = 4.5 if len(rows) <= 60 else 3.5 if len(rows) <= 300 else 2.5
    for row in rows:
        x = scale(row["train"])
        before = plain.get(row["class"])
        if before is not None and whiskers:
            plot.dot(
                x, height * (1 - before), radius - 0.5, "hollow", f"{row['class']}, plain training: {percent(before)}"
            )
        if row[low_end] is not None and whiskers:
            low, high = (height * (1 - row[end]) for end in (low_end, high_end))
            plot.line(x, low, x, high, f"whisker line-{row['group']}")
    for row in rows:
        spread = interval({"low": row[low_end], "high": row[high_end]})
        hover = (
            f"{row['class']}: {shown.name} {percent(row[name])}{f' ({spread})' if spread else ''}, "
            f"{row['train']:,} training and {row['support']:,} test examples"
        )
        plot.dot(scale(row["train"]), height * (1 - row[name]), radius, f"dot fill-{row['group']}", hover)
    for group, measures in evaluation["by_group"].items():
        sizes = [scale(row["train"]) for row in rows if row["group"] == group]
        left, right = min(sizes) - 0.012, max(sizes) + 0.012
        y = height * (1 - measures[shown.in_groups]["value"])
        plot.line(left, y, right, y, f"mean line-{group}")
    return plot.markup()


def comparison(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw the score of each recipe with its interval and its folds, best first."""
    scored = sorted((r for r in rows if r.get("score") is not None), key=lambda r: -r["score"])
    ends = [
        v for r in scored for v in (r["score"], r.get("low"), r.get("high"), *(r.get("folds") or ())) if v is not None
    ]
    low, high = min(ends), max(ends)
    pad = (high - low or abs(high) or 1) * 0.06
    low, high = low - pad, high + pad
    shares = min(ends) >= 0 and max(ends) <= 1

    def at(value: float) -> float:
        return (value - low) / (high - low)

    def words(value: float) -> str:
        return percent(value, 1) if shares else f"{value:.3g}"

    row_height = 40.0
    plot = Plot(row_height * len(scored) + 30, "Score of each recipe with its 95 % interval, best first", "wide")
    chosen = next((r for r in scored if r["outcome"] == "selected"), None)
    if chosen is not None:
        plot.line(at(chosen["score"]), 0, at(chosen["score"]), row_height * len(scored), "guide")
    for rank, row in enumerate(scored):
        y = rank * row_height + 28
        state = {"selected": "chosen", "dropped": "dropped", "out of time": "dropped"}.get(row["outcome"], "")
        plot.text(0, y - 12, short(row["recipe"], 34), f"label {state}", anchor="start", hover=row["recipe"])
        aside = words(row["score"]) + (" · chosen" if row is chosen else f" · {row['reason']}" if row["reason"] else "")
        plot.text(1, y - 12, aside, f"tick {state}", anchor="end")
        plot.line(0, y, 1, y, "grid")
        for fold in (score for score in row.get("folds") or () if score is not None):
            plot.line(at(fold), y - 4, at(fold), y + 4, f"fold {state}")
        if row.get("low") is not None:
            plot.line(at(row["low"]), y, at(row["high"]), y, f"range {state}")
        plot.dot(at(row["score"]), y, 5.5, f"score {state}", f"{row['recipe']}: {words(row['score'])}")
    bottom = row_height * len(scored) + 24
    plot.text(0, bottom, words(low + pad), "tick", anchor="start")
    plot.text(1, bottom, words(high - pad), "tick", anchor="end")
    return plot.markup()


def flow(evaluation: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return, for each true group, the shares of its examples predicted right and as a wrong class of each group."""
    group_of = _group_of(evaluation["groups"])
    counts: dict[str, dict[str, float]] = {
        g: {"right": 0.0} | {to: 0.0 for to in GROUPS if to in evaluation["groups"]} for g in evaluation["by_group"]
    }
    for true, predicted, n in evaluation["confusion"]:
        counts[group_of[true]]["right" if true == predicted else group_of[predicted]] += n
    return {g: {to: n / sum(row.values()) for to, n in row.items()} for g, row in counts.items()}


def confusion(shares: Mapping[str, Mapping[str, float]]) -> Markup:
    """Draw where the examples of each group end up."""
    row_height = 58.0
    plot = Plot(row_height * len(shares), "Where the examples of each group end up", "wide")
    for rank, (group, row) in enumerate(shares.items()):
        y = rank * row_height
        plot.text(0, y + 14, f"{names(shares)[group]} examples", "label", anchor="start")
        left = 0.0
        for to, share in row.items():
            what = "predicted right" if to == "right" else f"taken for another class, {GROUPS[to]}"
            plot.bar(left, share, y + 22, 22, f"segment fill-{to}", f"{percent(share, 1)} {what}")
            if share >= 0.1:
                plot.text(left + share / 2, y + 37, percent(share), f"inside on-{to}")
            left += share
    return plot.markup()


def pairs(evaluation: Mapping[str, Any], most: int = 8) -> list[dict[str, Any]]:
    """Return the pairs of classes that are confused most, as shares of the true class."""
    support = [row["support"] for row in evaluation["per_class"]]
    wrong = [(n / support[t], n, t, p) for t, p, n in evaluation["confusion"] if t != p]
    # A share of a handful of examples is mostly noise: pairs seen at least twice come first.
    wrong.sort(key=lambda pair: (pair[1] >= 2, pair[0]), reverse=True)
    classes = evaluation["classes"]
    return [
        {"true": classes[t], "predicted": classes[p], "share": share, "count": n, "support": support[t]}
        for share, n, t, p in wrong[:most]
    ]


def reliability(group: str, cells: Mapping[str, Sequence[float]]) -> Markup:
    """Draw accuracy over confidence; a dot's area is the number of predictions."""
    side = 150.0
    plot = Plot(side + 2, f"Accuracy over confidence, {GROUPS.get(group, 'all')} predictions", "square")
    for tick in (0.25, 0.5, 0.75):
        plot.line(0, side * (1 - tick), 1, side * (1 - tick), "grid")
    plot.line(0, side, 1, 0, "diagonal")
    plot.line(0, side, 1, side, "axis")
    plot.text(0, side, "0", "tick", dx=-6, anchor="end")
    plot.text(0, 8, "1", "tick", dx=-6, anchor="end")
    total = sum(cells["count"])
    for n, right, confidence in zip(cells["count"], cells["right"], cells["confidence"], strict=True):
        if n:
            radius = 2.5 + 13 * (n / total) ** 0.5
            hover = f"{plural(int(n), 'prediction')}: confidence {percent(confidence / n)}, right {percent(right / n)}"
            plot.dot(confidence / n, side * (1 - right / n), radius, f"bubble fill-{group}", hover)
    return plot.markup()
