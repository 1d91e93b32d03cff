"""Samplers with a weight per example, or a difficulty per class, that you give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import TailwiseError
from tailwise.samplers._balanced import ClassSampler, softmax
from tailwise.samplers._epochs import EpochSampler, check_size
from tailwise.samplers._permute import permute
from tailwise.settings import divisor
from tailwise.tensors import to_array


class WeightedSampler(EpochSampler):
    """Shows each example in proportion to its weight, on one process or many.

    The running sum of the weights is cut into as many equal parts as the epoch has places, and an example is drawn from
    each (stratified sampling): it is shown as often as expected, give or take less than two. Compared with
    ``torch.utils.data.WeightedRandomSampler`` the expectation is the same and the variance smaller; it shards itself,
    and takes any number of examples. With powers of the losses as weights it is prioritised replay (Schaul et al.,
    Prioritized Experience Replay, ICLR 2016, equation 1).

    Parameters
    ----------
    labels, class_counts, num_replicas, rank, seed : see :class:`EpochSampler`; without labels and class counts, all
        examples are taken to be of one class
    weights : (n,) not negative, in any unit
    size : length of an epoch over all processes; by default the number of examples

    Notes
    -----
    In addition to the weights it keeps their running sum, eight bytes per example. The weights are not part of
    :meth:`state_dict`: before resuming, build the sampler with the weights of that moment.

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.

    Examples
    --------
    >>> import numpy as np
    >>> sampler = WeightedSampler(weights=[1, 1, 4, 2], size=80)
    >>> np.bincount(list(sampler)).tolist()
    [10, 10, 40, 20]
    >>> sampler.set_weights([0, 0, 1, 3])  # such as the losses of the last epoch
    >>> np.bincount(list(sampler)).tolist()
    [0, 0, 20, 60]
    """

    _chunk = 2**16  # the more, the closer together is what is searched for

    def __init__(
        self, labels: ArrayLike | None = None, *, weights: ArrayLike, size: int | None = None, **options: Any
    ) -> None:
        if labels is None and options.get("class_counts") is None:
            options["class_counts"] = [np.shape(weights)[0] if np.ndim(weights) else 0]
        super().__init__(labels, **options)
        self._size = check_size(size) or self.n_examples
        self.set_weights(weights)

    def set_weights(self, weights: ArrayLike) -> None:
        """Change the weights; call it between epochs.

        Raises
        ------
        TailwiseError
            If they are not one finite number for each example, not negative and one above 0, with a finite sum.
        """
        self.seen()  # by the weights it was shown by
        values = np.asarray(to_array(weights))
        if values.shape != (self.n_examples,):
            raise TailwiseError(f"{self.n_examples} examples need {self.n_examples} weights; got shape {values.shape}.")
        if values.dtype.kind not in "biuf":
            raise TailwiseError(f"weights must be numbers; got {values.dtype}.")
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() > 0):
            raise TailwiseError("weights must be finite and not negative, and at least one must be above 0.")
        with np.errstate(over="ignore"):
            ends = np.cumsum(values, dtype=np.float64)
        if not np.isfinite(ends[-1]):
            raise TailwiseError("the weights are too large to be added up: divide them by their maximum.")
        self._ends = ends

    def size(self) -> int:
        """Return the number of places in an epoch, over all processes."""
        return self._size

    def pick(self, epoch: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the indices at a random point of each part of the running sum of weights, permuted."""
        first = np.random.default_rng([self.seed, epoch]).random()
        # a point for all parts would be in step with data that has an order, such as one class after the other in turn
        within = (permute(places, self._size, self.seed, epoch, 1) + first) / self._size
        points = (permute(places, self._size, self.seed, epoch) + within) * (self._ends[-1] / self._size)
        last = np.searchsorted(self._ends, self._ends[-1])  # weights of 0 may follow
        order = np.argsort(points)  # searching far apart costs a cache miss a step
        picked = np.empty(len(places), dtype=np.int64)
        picked[order] = np.minimum(np.searchsorted(self._ends, points[order], side="right"), last)
        return picked

    def labels_per_example(self) -> NDArray[np.float64]:
        """Return the expected share of each class, as an example has one label, (n_classes,)."""
        shown = np.zeros(self.class_counts.size)
        if self.labels is None:
            filled = self.class_counts > 0
            shown[filled] = np.diff(self._ends[np.cumsum(self.class_counts)[filled] - 1], prepend=0.0)
        else:
            for begin in range(0, self.labels.size, self._chunk):
                ends = self._ends[begin : begin + self._chunk]
                before = self._ends[begin - 1] if begin else 0.0
                np.add.at(shown, self.labels[begin : begin + self._chunk], np.diff(ends, prepend=before))
        return shown / shown.sum()


class HardAwareSampler(ClassSampler):
    """Shows difficult classes more often; you set the difficulty of each class between epochs.

    Parameters
    ----------
    temperature : shares are ``exp(difficulty / temperature)`` over their sum; a high one is class-balanced sampling
    labels, class_counts, size, num_replicas, rank, seed : see :class:`ClassSampler`

    Before :meth:`set_difficulty` all classes are equally difficult.

    Raises
    ------
    TailwiseError
        If labels, counts or settings are out of range.

    Source: Ma et al., Happy: A Debiased Learning Framework for Continual Generalized Category Discovery, NeurIPS 2024
    (hardness-aware prototype sampling; the authors' code uses temperature 0.1 and, as the difficulty of a class, the
    mean cosine between its mean feature and those of the others).
    Deviates: samples examples of a class, not Gaussian copies of its mean, and takes any difficulty. One minus the
    accuracy of a class is that of Sinha et al., Class-Wise Difficulty-Balanced Loss for Solving Class-Imbalance, ACCV
    2020. For the difficulty of single examples use :class:`WeightedSampler`.
    """

    def __init__(self, labels: ArrayLike | None = None, temperature: float = 0.1, **options: Any) -> None:
        super().__init__(labels, **options)
        self.temperature = divisor("temperature", temperature, np.inf)
        self.difficulty = np.zeros(self.class_counts.size)

    def set_difficulty(self, difficulty: ArrayLike) -> None:
        """Set the difficulty of the classes, (n_classes,); call it between epochs.

        Raises
        ------
        TailwiseError
            If it is not one finite number for each class.
        """
        values = np.asarray(to_array(difficulty), dtype=np.float64)
        if values.shape != self.class_counts.shape or not np.isfinite(values).all():
            raise TailwiseError(f"difficulty must be one finite number for each of {self.class_counts.size} classes.")
        self.seen()  # by the difficulty it was shown by
        self.difficulty, self._plan = values, None

    def shares(self, epoch: int) -> NDArray[np.float64]:
        """Return ``exp(difficulty / temperature)`` over its sum, zero for a class without examples."""
        return softmax(self.difficulty / self.temperature, self.class_counts > 0)

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the sampler, what it has shown, and the difficulty."""
        return {**super().state_dict(), "difficulty": self.difficulty.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`."""
        super().load_state_dict(state)
        self.difficulty, self._plan = np.array(state["difficulty"]), None
