"""A plot as SVG elements: horizontal positions in percent, so that it fits any width while its text keeps its size.

Elements are built as a tree, not as text, so that names from data are escaped by construction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree import ElementTree

from markupsafe import Markup

from tailwise.wording import printable


def number(value: float) -> str:
    """Return a count for an axis: 950, 1k, 20k, 3M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


class LogScale:
    """Positions from 0 to 1 of positive numbers on a logarithmic axis; zero is drawn at its start."""

    def __init__(self, values: Sequence[float], pad: float = 1.35) -> None:
        positive = [v for v in values if v > 0] or [1.0]
        self._low, self._high = math.log(min(positive) / pad), math.log(max(positive) * pad)

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        if value <= 0:
            return 0.0
        return min(max((math.log(value) - self._low) / (self._high - self._low), 0.0), 1.0)

    def ticks(self) -> list[float]:
        """Return powers of ten inside the axis, with their double and fivefold where there would be few."""
        low, high = self._low / math.log(10), self._high / math.log(10)
        decades = range(math.floor(low), math.ceil(high) + 1)
        for steps in ((1,), (1, 3), (1, 2, 5)):
            found = [s * 10.0**d for d in decades for s in steps if low <= math.log10(s) + d <= high]
            if len(found) >= 3:
                break
        return [tick for tick in found if tick >= 1]


class Plot:
    """An SVG of full width and given height."""

    def __init__(self, height: float, title: str, kind: str = "") -> None:
        self.height = height
        self._root = ElementTree.Element(
            "svg", {"role": "img", "aria-label": title, "class": kind, "width": "100%", "height": f"{height:g}"}
        )
        ElementTree.SubElement(self._root, "title").text = title

    def _add(self, tag: str, kind: str, hover: str = "", **attributes: str | float) -> ElementTree.Element:
        written = {k.replace("_", "-"): v if isinstance(v, str) else f"{v:.4g}" for k, v in attributes.items()}
        element = ElementTree.SubElement(self._root, tag, {"class": kind, **written})
        if hover:
            ElementTree.SubElement(element, "title").text = hover
        return element

    def bar(self, x: float, width: float, y: float, height: float, kind: str, hover: str = "") -> None:
        """Draw a bar; ``x`` and ``width`` are shares of the plot's width, ``y`` and ``height`` pixels."""
        self._add("rect", kind, hover, x=_percent(x), width=_percent(width), y=y, height=max(height, 0))

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Draw a line; shares and pixels."""
        self._add("line", kind, x1=_percent(x1), y1=y1, x2=_percent(x2), y2=y2)

    def dot(self, x: float, y: float, radius: float, kind: str, hover: str = "") -> None:
        """Draw a dot; share and pixels."""
        self._add("circle", kind, hover, cx=_percent(x), cy=y, r=radius)

    def text(
        self, x: float, y: float, words: str, kind: str = "", *, dx: float = 0, anchor: str = "middle", hover: str = ""
    ) -> None:
        """Write words at a share of the width and a height in pixels, moved by ``dx`` pixels."""
        element = self._add("text", kind, hover, x=_percent(x), y=y, dx=dx, text_anchor=anchor)
        if hover:
            element[0].tail = words
        else:
            element.text = words

    def markup(self) -> Markup:
        """Return the SVG's text."""
        return Markup(printable(ElementTree.tostring(self._root, encoding="unicode")))


def _percent(share: float) -> str:
    return f"{100 * share:.3f}".rstrip("0").rstrip(".") + "%"
