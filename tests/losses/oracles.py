"""Each published loss as its equation reads, in float64 NumPy, one example and one class at a time.

Every oracle takes logits (n, k), rows (n, k) and class counts (k,), at the settings that the contract test builds the
loss with, and returns the (n,) losses before any weighting by class and any reduction.
"""

from math import exp, log, sqrt

import numpy as np


def log_softmax(z):
    top = max(z)
    total = log(sum(exp(v - top) for v in z))
    return [v - top - total for v in z]


def sigmoid(x):
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


def log_sigmoid(x):
    return -log(1 + exp(-x)) if x >= 0 else x - log(1 + exp(x))


def softmax_loss(adjust):
    """Cross-entropy of the logits that ``adjust(z, q, counts)`` returns for one example."""

    def oracle(logits, rows, counts):
        losses = []
        for z, q in zip(logits, rows, strict=True):
            log_p = log_softmax(adjust(list(z), list(q), list(counts)))
            losses.append(-sum(q[j] * log_p[j] for j in range(len(q)) if q[j]))
        return np.array(losses)

    return oracle


def plain(z, q, n):
    return z


def focal(logits, rows, counts, gamma=2.0):
    losses = []
    for z, q in zip(logits, rows, strict=True):
        log_p = log_softmax(list(z))
        losses.append(sum(-q[j] * (1 - exp(log_p[j])) ** gamma * log_p[j] for j in range(len(q))))
    return np.array(losses)


def ldam(z, q, n, max_margin=0.5, scale=30.0):
    margins = [c**-0.25 for c in n]
    margins = [m * max_margin / max(margins) for m in margins]
    return [scale * (z[j] - q[j] * margins[j]) for j in range(len(z))]


def balanced_softmax(z, q, n):
    return [z[j] + log(n[j]) for j in range(len(z))]


def logit_adjusted(z, q, n, tau=1.0):
    return [z[j] + tau * log(n[j] / sum(n)) for j in range(len(z))]


def vector_scaling(z, q, n, gamma=0.3, tau=1.0):
    return [z[j] * (n[j] / max(n)) ** gamma + tau * log(n[j] / sum(n)) for j in range(len(z))]


def class_dependent_temperature(z, q, n, gamma=0.3):
    return [z[j] / (max(n) / n[j]) ** gamma for j in range(len(z))]


def lade(logits, rows, counts, alpha=0.1, lam=0.1):
    base = softmax_loss(balanced_softmax)(logits, rows, counts)
    n, k = logits.shape
    prior = counts / sum(counts)
    regulariser = 0.0
    for c in range(k):
        own = [(rows[i, c], logits[i, c]) for i in range(n) if rows[i, c]]
        first = sum(q * v for q, v in own) / sum(q for q, _ in own) if own else 0.0
        second = log(sum(exp(logits[i, c]) / prior[c] / k for i in range(n)) / n)
        regulariser -= prior[c] * (first - second - lam * second**2)
    return base + alpha * regulariser


def seesaw(z, q, n, p=0.8, q_power=2.0, eps=1e-2):
    y = int(np.argmax(q))
    prob = [exp(v) for v in log_softmax(z)]
    adjusted = []
    for j in range(len(z)):
        mitigation = min(1.0, (n[j] / n[y]) ** p)
        compensation = max(1.0, (prob[j] / max(prob[y], eps)) ** q_power)
        adjusted.append(z[j] if j == y else z[j] + log(mitigation * compensation))
    return adjusted


def sigmoid_sum(absent):
    """Sigmoid cross-entropy summed over classes, each absent class times ``absent(j, counts)``."""

    def oracle(logits, rows, counts):
        losses = []
        for z, q in zip(logits, rows, strict=True):
            total = 0.0
            for j in range(len(z)):
                total -= q[j] * log_sigmoid(z[j]) + (1 - q[j]) * absent(j, counts) * log_sigmoid(-z[j])
            losses.append(total)
        return np.array(losses)

    return oracle


def equalization(j, n, threshold=0.6):
    return 0.0 if n[j] < threshold * sum(n) / len(n) else 1.0


def influence(logits, rows, counts, features, alpha=1000.0, eps=1e-3):
    losses = []
    inverse = [1 / c for c in counts]
    for z, q, h in zip(logits, rows, features, strict=True):
        log_p = log_softmax(list(z))
        nll = -sum(q[j] * log_p[j] for j in range(len(q)))
        error = sum(abs(exp(log_p[j]) - q[j]) for j in range(len(q)))
        weight = sum(q[j] * alpha * inverse[j] / sum(inverse) for j in range(len(q)))
        losses.append(weight * nll / (error * sum(abs(v) for v in h) + eps))
    return np.array(losses)


def instance_weighted(logits, rows, counts, strategy="linear", r=1.0):
    losses = softmax_loss(plain)(logits, rows, counts)
    low, high = min(losses), max(losses)
    scores = []
    for value in losses:
        h = 2 * (value - low) / (high - low) - 1
        scores.append({"linear": min(h + 1, 1), "quadratic": 1 - h * h, "extremes": abs(h)}[strategy])
    share = [exp(s / r) for s in scores]
    return np.array([len(losses) * w / sum(share) * v for w, v in zip(share, losses, strict=True)])


def dft(logits, rows, counts):
    losses = []
    for z, q in zip(logits, rows, strict=True):
        log_p = log_softmax(list(z))
        losses.append(-sum(q[j] * exp(log_p[j]) * log_p[j] for j in range(len(q))))
    return np.array(losses)


def asymmetric(logits, rows, counts, gamma_positive=0.0, gamma_negative=4.0, clip=0.05):
    losses = []
    for z, q in zip(logits, rows, strict=True):
        total = 0.0
        for j in range(len(z)):
            p = sigmoid(z[j])
            m = max(p - clip, 0.0)
            total -= q[j] * (1 - p) ** gamma_positive * log(p) + (1 - q[j]) * m**gamma_negative * log(1 - m)
        losses.append(total)
    return np.array(losses)


def distribution_balanced(
    logits, rows, counts, n_examples, alpha=0.1, beta=10.0, mu=0.2, lam=5.0, kappa=0.05, gamma=2.0
):
    losses = []
    for z, q in zip(logits, rows, strict=True):
        expected = sum(q[j] / counts[j] for j in range(len(z)))
        total = 0.0
        for j in range(len(z)):
            r = alpha + sigmoid(beta * (1 / counts[j] / expected - mu))
            v = kappa * log(n_examples / counts[j] - 1)
            has, lacks = z[j] - v, -lam * (z[j] - v)
            total += r * q[j] * (1 - sigmoid(has)) ** gamma * -log_sigmoid(has)
            total += r * (1 - q[j]) / lam * (1 - sigmoid(lacks)) ** gamma * -log_sigmoid(lacks)
        losses.append(total / len(z))
    return np.array(losses)


def dice(logits, rows, counts, alpha=0.01, smooth=1.0, power=2):
    losses = []
    for z, q in zip(logits, rows, strict=True):
        total = 0.0
        for j, log_p in enumerate(log_softmax(list(z))):
            d = (1 - exp(log_p)) ** alpha * exp(log_p)
            total += 1 - (2 * d * q[j] + smooth) / (d**power + q[j] ** power + smooth)
        losses.append(total)
    return np.array(losses)


def tversky(logits, rows, counts, alpha=0.5, beta=0.5, smooth=1.0):
    losses = []
    for z, q in zip(logits, rows, strict=True):
        total = 0.0
        for j, log_p in enumerate(log_softmax(list(z))):
            p = exp(log_p)
            overlap = p * q[j]
            total += 1 - (overlap + smooth) / (overlap + alpha * p * (1 - q[j]) + beta * (1 - p) * q[j] + smooth)
        losses.append(total)
    return np.array(losses)


def normalised(z, q, n, temperature=0.05):
    return [v / temperature for v in z]


def t_similarity(z, q, n, kappa=16.0, temperature=0.05):
    return [2 / (1 + kappa * (1 - v)) / temperature for v in z]


def z_loss(logits, rows, counts, a=1.0, b=3.0):
    losses = []
    for z, q in zip(logits, rows, strict=True):
        mean = sum(z) / len(z)
        deviation = sqrt(sum((v - mean) ** 2 for v in z) / len(z))
        losses.append(sum(q[j] * log(1 + exp(a * (b - (z[j] - mean) / deviation))) / a for j in range(len(z))))
    return np.array(losses)


def cumulative(logits, rows, counts):
    losses = []
    for z, q in zip(logits, rows, strict=True):
        reach = [1.0] + [sigmoid(v) for v in z[1:]] + [0.0]
        losses.append(-sum(q[j] * log(reach[j] - reach[j + 1]) for j in range(len(z)) if q[j]))
    return np.array(losses)


def smoothed_density(counts, sigma=2.0):
    """Gaussian kernel over the order of the classes, reflected at both ends."""
    k = len(counts)
    radius = int(4 * sigma + 0.5)
    kernel = [exp(-0.5 * (d / sigma) ** 2) for d in range(-radius, radius + 1)]
    mirrored = list(counts) + list(counts)[::-1]
    return np.array(
        [
            sum(w * mirrored[(j + d) % (2 * k)] for w, d in zip(kernel, range(-radius, radius + 1), strict=True))
            / sum(kernel)
            for j in range(k)
        ]
    )
