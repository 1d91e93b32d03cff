"""A class-balanced sampler in two real processes, which finds their number and its own by itself."""

import numpy as np
import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch.utils.data import DataLoader, TensorDataset

from forked import share
from tailwise import samplers

COUNTS = np.array([901, 60, 8, 2])


def _train(folder):
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    torch.set_num_threads(1)
    labels = torch.from_numpy(np.repeat(np.arange(4), COUNTS))
    sampler = samplers.ClassBalancedSampler(labels, seed=3)
    loader = DataLoader(TensorDataset(torch.arange(len(labels)), labels), batch_size=50, sampler=sampler)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        seen = torch.zeros(4, dtype=torch.int64)
        indices = []
        for index, target in loader:
            seen += torch.bincount(target, minlength=4)
            indices += index.tolist()
        own = seen.clone()
        dist.all_reduce(seen)
        both = [None, None]
        dist.all_gather_object(both, indices)
        if epoch == 0:
            np.testing.assert_array_equal(sampler.seen(), seen)
        assert len(both[0]) == len(both[1]) == 486  # half of 971, rounded up
        assert np.abs(seen.numpy() - 972 / 4).max() < 2
        assert np.abs(own.numpy() - 486 / 4).max() < 4.5 * np.sqrt(486 * 0.25 * 0.75)
        head = [set(part) & set(range(901)) for part in both]
        assert len(head[0] & head[1]) <= 1  # none is repeated in an epoch, but for the one that fills up
        np.save(folder / f"{epoch}-{rank}.npy", np.array(indices))
    dist.destroy_process_group()


def test_two_processes_share_a_balanced_epoch(tmp_path):
    share(_train, tmp_path)
    for epoch in range(2):
        for rank in range(2):
            alone = samplers.ClassBalancedSampler(np.repeat(np.arange(4), COUNTS), seed=3, num_replicas=2, rank=rank)
            alone.set_epoch(epoch)
            np.testing.assert_array_equal(np.load(tmp_path / f"{epoch}-{rank}.npy"), alone.indices())


def _load(folder):
    torch.set_num_threads(1)
    fabric = Fabric(accelerator="cpu", devices=2)
    fabric.launch()
    sampler = samplers.ShuffleSampler(class_counts=COUNTS)
    loader = DataLoader(TensorDataset(torch.arange(COUNTS.sum())), batch_size=50, sampler=sampler)
    shown = [index for (batch,) in fabric.setup_dataloaders(loader) for index in batch.tolist()]
    np.save(folder / f"{fabric.global_rank}.npy", np.array(shown))


def test_lightning_does_not_divide_once_more_what_is_divided(tmp_path):
    """It would have each process see a half of its half, and tell nobody."""
    share(_load, tmp_path)
    shown = np.concatenate([np.load(tmp_path / f"{rank}.npy") for rank in range(2)])
    np.testing.assert_array_equal(np.unique(shown), np.arange(COUNTS.sum()))
