"""What a report is made of: plain values only, so that it can be saved as JSON and written again."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise._optional import require
from tailwise.errors import TailwiseError


@dataclass(frozen=True)
class Example:
    """A wrong prediction to look at.

    Attributes
    ----------
    true, predicted : class names
    confidence : probability of the predicted class
    id : what identifies the example
    image : a PNG as a data URI (see :func:`thumbnail`), or None
    text : its text, or None
    fields : column name -> value, for a row of a table
    """

    true: str
    predicted: str
    confidence: float
    id: str = ""
    image: str | None = None
    text: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.image is not None and not self.image.startswith("data:image/png;base64,"):
            raise TailwiseError("an example's image must be a PNG data URI; make it with thumbnail().")


@dataclass(frozen=True)
class Report:
    """Everything that a report shows. Whatever is left out has no section.

    Attributes
    ----------
    title : what was learned, from what
    evaluation : ``Evaluation.to_dict()`` or ``LabelEvaluation.to_dict()`` of the model on its test data
    baseline : the same of the plain model on the same test data; it is drawn beside the model
    in_training : how many of the test examples the training data holds too; None if that is not known
    diagnosis : ``Diagnosis.to_dict()`` of the training data
    comparison : a row per recipe: ``recipe``, ``score``, ``low``, ``high``, ``folds``, ``seconds``,
        ``outcome``, ``reason``
    objective : what the scores of the comparison are
    examples : wrong predictions, most confident first
    notes : sentences about what was done: the prior correction, classes with one example, rows left out
    model_card : what was trained on what with which versions: names -> values, or names -> names -> values
    """

    title: str
    evaluation: Mapping[str, Any]
    baseline: Mapping[str, Any] | None = None
    in_training: int | None = None
    diagnosis: Mapping[str, Any] | None = None
    comparison: Sequence[Mapping[str, Any]] = ()
    objective: str = "balanced_accuracy"
    examples: Sequence[Example] = ()
    notes: Sequence[str] = ()
    model_card: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """Return the report that :meth:`to_dict` was called on."""
        return cls(**{**values, "examples": [Example(**example) for example in values.get("examples", ())]})


def thumbnail(image: NDArray[np.uint8], side: int = 96) -> str:
    """Return an image as a PNG data URI, smaller if a side is longer than ``side``; needs ``tailwise[image]``.

    Parameters
    ----------
    image : (height, width), (height, width, 1) or (height, width, 3) uint8

    Raises
    ------
    TailwiseError
        If it is not such an array.
    """
    require("PIL", "image")
    from PIL import Image

    pixels = np.asarray(image)
    grey = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if (grey.ndim != 2 and grey.shape[2:] != (3,)) or pixels.dtype != np.uint8 or not pixels.size:
        raise TailwiseError(f"a thumbnail needs a uint8 image of 1 or 3 channels; got {pixels.dtype} {pixels.shape}.")
    picture, png = Image.fromarray(grey), io.BytesIO()
    picture.thumbnail((side, side))
    picture.save(png, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
