"""Smoothing of features over neighbouring bins of a continuous target."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tailwise.errors import TailwiseError

_CLIP = 0.1, 10.0  # of a ratio of variances, as in the authors' code


class FeatureSmoothing(nn.Module):
    """Feature-distribution smoothing (FDS): shifts and scales features to smoothed statistics of their target bin.

    A feature z of bin b becomes ``sqrt(V'_b / V_b) (z - m_b) + m'_b``, where m, V are the mean and variance of the bin,
    and m', V' are these after smoothing with a Gaussian kernel over the bins. Bins with rare targets thus borrow from
    their neighbours. It goes between backbone and regressor::

        features = backbone(x)
        prediction = regressor(smoothing(features, bins))     # unchanged in evaluation mode
        ...
        smoothing.update(features_of_the_training_set, their_bins)      # after each epoch

    Parameters
    ----------
    n_features : number of features of the backbone
    n_bins : number of bins of the target, in ascending order
    sigma : standard deviation of the kernel, in bins
    momentum : weight of earlier epochs in the running mean and variance

    Raises
    ------
    TailwiseError
        If ``sigma`` is not positive, or ``momentum`` not in [0, 1).

    Source: Yang et al., Delving into Deep Imbalanced Regression, ICML 2021, section 3.2; clipping and defaults as in
    the authors' code (imbalanced-regression, agedb-dir/fds.py).
    Verified: against a plain-Python implementation in float64.
    Deviates: the kernel is not truncated at two bins, and is normalised over the bins that have examples; the authors'
    code treats empty bins as standard normal and reflects at the ends. Statistics are used from the next epoch on, in
    the authors' code from the one after.
    """

    mean: Tensor
    variance: Tensor
    seen: Tensor
    smooth_mean: Tensor
    ratio: Tensor

    def __init__(self, n_features: int, n_bins: int, sigma: float = 2.0, momentum: float = 0.9) -> None:
        super().__init__()
        if not sigma > 0 or not 0 <= momentum < 1:
            raise TailwiseError(f"sigma must be above 0, and momentum from 0 to below 1; got {sigma} and {momentum}.")
        self.sigma, self.momentum = sigma, momentum
        self.register_buffer("seen", torch.zeros(n_bins, dtype=torch.bool))
        for name in ("mean", "variance", "smooth_mean", "ratio"):
            self.register_buffer(name, torch.zeros(n_bins, n_features))

    @torch.no_grad()
    def update(self, features: Tensor, bins: Tensor) -> None:
        """Update the statistics with the features of a whole epoch.

        Parameters
        ----------
        features : (n, n_features)
        bins : (n,) bin of each example, integers from 0

        Raises
        ------
        TailwiseError
            If a bin is out of range.
        """
        n_bins = len(self.seen)
        if bins.numel() and not 0 <= int(bins.min()) <= int(bins.max()) < n_bins:
            raise TailwiseError(f"bins must be from 0 to {n_bins - 1}; got {int(bins.min())} to {int(bins.max())}.")
        features = features.to(self.mean.dtype)
        counts = torch.bincount(bins, minlength=n_bins)
        here, n = counts > 0, counts[:, None].to(self.mean.dtype)
        mean = torch.zeros_like(self.mean).index_add_(0, bins, features) / n.clamp_min(1)
        squares = torch.zeros_like(self.mean).index_add_(0, bins, (features - mean[bins]).square())
        variance = squares / (n - 1).clamp_min(1)
        kept = self.momentum * self.seen.to(self.mean.dtype)[:, None]
        for old, new in ((self.mean, mean), (self.variance, variance)):
            old.copy_(torch.where(here[:, None], kept * old + (1 - kept) * new, old))
        self.seen |= here

        place = torch.arange(n_bins, dtype=self.mean.dtype, device=self.mean.device)
        kernel = torch.exp(-0.5 * ((place[:, None] - place) / self.sigma).square()) * self.seen
        kernel /= kernel.sum(1, keepdim=True).clamp_min(torch.finfo(kernel.dtype).tiny)
        self.smooth_mean.copy_(kernel @ self.mean)
        # a ratio of 0 marks features that do not vary in a bin, which stay unchanged
        ratio = (kernel @ self.variance / self.variance).clamp(*_CLIP)
        self.ratio.copy_(torch.where((self.variance > 0) & self.seen[:, None], ratio, 0.0))

    def forward(self, features: Tensor, bins: Tensor) -> Tensor:
        """Return the (batch, n_features) features; in training mode, after the first update, smoothed.

        Those in a negative bin, without a label that is, stay as they are.

        Raises
        ------
        TailwiseError
            If a bin is out of range (on the CPU; elsewhere torch says so).
        """
        if not self.training:
            return features
        at = bins.clamp_min(0)
        try:
            ratio = torch.where((bins >= 0)[:, None], self.ratio[at], 0.0)
        except IndexError:
            raise TailwiseError(f"bins must be below {len(self.seen)}; got {int(bins.max())}.") from None
        moved = (features - self.mean[at]) * ratio.sqrt() + self.smooth_mean[at]
        return torch.where(ratio > 0, moved, features).to(features.dtype)
