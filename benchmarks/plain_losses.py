"""The losses as one would write them after their papers, in a few lines of torch: what losses_speed.py compares with.

A function takes the (n_classes,) class counts and returns a loss of (batch, n_classes) logits and, as :data:`CODES`
says, (batch,) class codes or, as :data:`LABELS` says, (batch, n_classes) labels.
"""

import torch
from torch.nn import functional as F

WIDTH = 64  # of the features that influence-balancing needs


def features_of(logits):
    return torch.linspace(-1, 1, len(logits) * WIDTH).view(-1, WIDTH)


def one_hot(logits, targets):
    return F.one_hot(targets, logits.shape[1]).to(logits.dtype)


def class_balanced(n):
    weight = (1 - 0.9999) / (1 - 0.9999**n)
    return lambda z, y: F.cross_entropy(z, y, weight=weight)


def smoothed_density(n, sigma=2.0):
    reach = torch.arange(-8, 9)
    kernel = torch.exp(-0.5 * (reach / sigma) ** 2)
    mirrored = torch.cat([n[:8].flip(0), n, n[-8:].flip(0)])
    weight = 1 / F.conv1d(mirrored[None, None], (kernel / kernel.sum())[None, None])[0, 0]
    return lambda z, y: F.cross_entropy(z, y, weight=weight)


def balanced_softmax(n):
    return lambda z, y: F.cross_entropy(z + n.log(), y)


def logit_adjusted(n):
    prior = n / n.sum()
    return lambda z, y: F.cross_entropy(z + prior.log(), y)


def vector_scaling(n, gamma=0.3):
    prior, scale = n / n.sum(), (n / n.max()) ** gamma
    return lambda z, y: F.cross_entropy(z * scale + prior.log(), y)


def class_dependent_temperatures(n, gamma=0.3):
    temperature = (n.max() / n) ** gamma
    return lambda z, y: F.cross_entropy(z / temperature, y)


def ldam(n):
    margin = 0.5 * (n / n.min()) ** -0.25
    return lambda z, y: F.cross_entropy(30 * (z - margin * one_hot(z, y)), y)


def focal(n):
    def loss(z, y):
        nll = F.cross_entropy(z, y, reduction="none")
        return ((1 - torch.exp(-nll)) ** 2 * nll).mean()

    return loss


def seesaw(n, p=0.8, q=2.0, eps=1e-2):
    def loss(z, y):
        share = torch.softmax(z.detach(), 1)
        mitigation = (n / n[y][:, None]).clamp_max(1) ** p
        compensation = (share / share.gather(1, y[:, None]).clamp_min(eps)).clamp_min(1) ** q
        return F.cross_entropy(z + (mitigation * compensation).log() * (1 - one_hot(z, y)), y)

    return loss


def softmax_equalization(n, threshold=0.3, gamma=0.9):
    tail = (n < threshold * n.mean()).float()

    def loss(z, y):
        drop = (torch.rand_like(z) < gamma) * tail * (1 - one_hot(z, y))
        return F.nll_loss(z - (z.exp() * (1 - drop)).sum(1, keepdim=True).log(), y)

    return loss


def lade(n, alpha=0.1, lam=0.1):
    prior = n / n.sum()

    def loss(z, y):
        own = one_hot(z, y)
        first = (z * own).sum(0) / (own.sum(0) + 1e-8)
        second = torch.logsumexp(z - prior.log() - torch.tensor(float(len(n))).log(), 0)
        second = second - torch.tensor(float(len(z))).log()
        drift = (prior * (second + lam * second**2 - first)).sum()
        return F.cross_entropy(z + n.log(), y) + alpha * drift

    return loss


def gaussian_clouded(n, margin=0.5, scale=30.0, sigma=1 / 3):
    rarity = (n.max().log() - n.log()) / (n.max().log() - n.min().log())

    def loss(z, y):
        noise = torch.normal(0.0, sigma, z.shape).clamp(-1, 1).abs()
        return F.cross_entropy(scale * (z - noise * rarity - margin * one_hot(z, y)), y)

    return loss


def logit_variation(n, sigma=4.0):
    rarity = (n.sum() / n).log()
    rarity = rarity / rarity.max()
    return lambda z, y: F.cross_entropy(z + torch.normal(0.0, sigma, z.shape).clamp(-1, 1).abs() * rarity, y)


def influence_balanced(n, alpha=1000.0, eps=1e-3):
    weight = alpha / n / (1 / n).sum()

    def loss(z, y):
        influence = (torch.softmax(z, 1) - one_hot(z, y)).abs().sum(1) * features_of(z).abs().sum(1)
        return (F.cross_entropy(z, y, reduction="none") * weight[y] / (influence + eps)).mean()

    return loss


def instance_weighted(n):
    def loss(z, y):
        nll = F.cross_entropy(z, y, reduction="none")
        fixed = nll.detach()
        h = 2 * (fixed - fixed.min()) / (fixed.max() - fixed.min()) - 1
        return (torch.softmax((h + 1).clamp_max(1), 0) * nll).sum()

    return loss


def dynamic(n):
    def loss(z, y):
        log_p = F.log_softmax(z, 1).gather(1, y[:, None])
        return -(log_p.detach().exp() * log_p).mean()

    return loss


def anchored(n, anchor=0.1):
    def loss(z, y):
        base = F.log_softmax(z.detach(), 1)  # in place of what the model before fine-tuning says
        log_p = F.log_softmax(z, 1)
        return dynamic(n)(z, y) + anchor * (base.exp() * (base - log_p)).sum(1).mean()

    return loss


def dice(n, alpha=0.01, smooth=1.0):
    def loss(z, y):
        p, q = torch.softmax(z, 1), one_hot(z, y)
        d = (1 - p) ** alpha * p
        return (1 - (2 * d * q + smooth) / (d**2 + q**2 + smooth)).sum(1).mean()

    return loss


def tversky(n, alpha=0.5, beta=0.5, smooth=1.0):
    def loss(z, y):
        p, q = torch.softmax(z, 1), one_hot(z, y)
        hit = p * q
        return (1 - (hit + smooth) / (hit + alpha * p * (1 - q) + beta * (1 - p) * q + smooth)).sum(1).mean()

    return loss


def normalised_softmax(n, temperature=0.05):
    return lambda z, y: F.cross_entropy(z / temperature, y)


def t_similarity(n, kappa=16.0, temperature=0.05):
    return lambda z, y: F.cross_entropy(2 / (1 + kappa * (1 - z)) / temperature, y)


def z_score(n, a=1.0, b=3.0):
    def loss(z, y):
        standard = (z - z.mean(1, keepdim=True)) / z.std(1, keepdim=True, correction=0)
        return F.softplus(a * (b - standard.gather(1, y[:, None]))).mean() / a

    return loss


def cumulative(n):
    def loss(z, y):
        reach = torch.sigmoid(z[:, 1:])
        ends = torch.ones_like(z[:, :1]), torch.zeros_like(z[:, :1])
        p = torch.cat([ends[0], reach], 1) - torch.cat([reach, ends[1]], 1)
        return F.nll_loss(p.clamp_min(1e-6).log(), y)

    return loss


def equalization(n, threshold=0.6):
    tail = (n < threshold * n.mean()).float()

    def loss(z, rows):
        weight = 1 - (rows.sum(1, keepdim=True) > 0).float() * tail * (1 - rows)
        return F.binary_cross_entropy_with_logits(z, rows, weight, reduction="sum") / len(z)

    return loss


def equalization_v2(n, gamma=12.0, mu=0.8, alpha=4.0):
    seen = torch.zeros(2, len(n))

    def loss(z, rows):
        down = torch.sigmoid(gamma * (seen[0] / seen[1].clamp_min(1e-10) - mu)) if seen.any() else torch.ones(len(n))
        weight = rows * (1 + alpha * (1 - down)) + (1 - rows) * down
        with torch.no_grad():
            push = (torch.sigmoid(z) - rows).abs() * weight
            seen[0] += (push * rows).sum(0)
            seen[1] += (push * (1 - rows)).sum(0)
        return F.binary_cross_entropy_with_logits(z, rows, weight, reduction="sum") / len(z)

    return loss


def asymmetric(n, gamma=4.0, clip=0.05):
    def loss(z, rows):
        p = torch.sigmoid(z)
        absent = (1 - p + clip).clamp(max=1)
        log_p = rows * p.clamp_min(1e-8).log() + (1 - rows) * absent.clamp_min(1e-8).log()
        focus = (1 - p * rows - absent * (1 - rows)) ** (gamma * (1 - rows))
        return -(log_p * focus).sum(1).mean()

    return loss


def distribution_balanced(n, alpha=0.1, beta=10.0, mu=0.2, lam=5.0, kappa=0.05, gamma=2.0):
    shift = kappa * (n.sum() / n - 1).log()

    def loss(z, rows):
        repeats = (rows / n).sum(1, keepdim=True)
        weight = alpha + torch.sigmoid(beta * (1 / n / repeats - mu))
        shifted = z - shift
        shifted = shifted * rows - lam * shifted * (1 - rows)
        nll = F.binary_cross_entropy_with_logits(shifted, torch.ones_like(z), reduction="none")
        nll = nll * (1 - torch.exp(-nll)) ** gamma
        return (weight * (rows * nll + (1 - rows) * nll / lam)).mean()

    return loss


#: Of class codes, by the name of ours.
CODES = {
    "ClassBalancedLoss": class_balanced,
    "SmoothedDensityLoss": smoothed_density,
    "BalancedSoftmaxLoss": balanced_softmax,
    "LogitAdjustedLoss": logit_adjusted,
    "VSLoss": vector_scaling,
    "CDTLoss": class_dependent_temperatures,
    "LDAMLoss": ldam,
    "NormalisedSoftmaxLoss": normalised_softmax,
    "FocalLoss": focal,
    "SeesawLoss": seesaw,
    "SoftmaxEqualizationLoss": softmax_equalization,
    "LADELoss": lade,
    "GCLLoss": gaussian_clouded,
    "BLVLoss": logit_variation,
    "InfluenceBalancedLoss": influence_balanced,
    "InstanceWeightedLoss": instance_weighted,
    "DFTLoss": dynamic,
    "DFTLoss, anchored": anchored,
    "DiceLoss": dice,
    "TverskyLoss": tversky,
    "ZLoss": z_score,
    "TSimilarityLoss": t_similarity,
    "CumulativeLoss": cumulative,
}
#: Of labels, several of which an example may have.
LABELS = {
    "EqualizationLoss": equalization,
    "EqualizationLossV2": equalization_v2,
    "AsymmetricLoss": asymmetric,
    "DistributionBalancedLoss": distribution_balanced,
}
#: Which draw at random, so that values differ.
RANDOM = {"SoftmaxEqualizationLoss", "GCLLoss", "BLVLoss"}
