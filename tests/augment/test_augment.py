"""Batch augmentations against one image at a time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tailwise.augment import FlipCrop, Mixup


def images(n: int = 64, channels_last: bool = True) -> torch.Tensor:
    x = torch.from_numpy(np.random.default_rng(0).integers(1, 256, (n, 3, 6, 7), dtype=np.uint8))
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


@pytest.mark.parametrize("channels_last", [True, False])
def test_every_image_is_a_crop_of_itself_or_its_mirror(channels_last: bool) -> None:
    x = images(channels_last=channels_last)
    y, targets = FlipCrop(2)(x, torch.arange(64), torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(targets, torch.arange(64))
    assert y.dtype == torch.uint8
    assert y.is_contiguous(memory_format=torch.channels_last)
    drawn = set()
    for before, after in zip(x, y, strict=True):
        found = [
            (flip, top, left)
            for flip in (False, True)
            for top in range(5)
            for left in range(5)
            if torch.equal(
                F.pad(before.flip(2) if flip else before, (2,) * 4)[:, top : top + 6, left : left + 7], after
            )
        ]
        assert len(found) == 1
        drawn.add(found[0])
    assert {flip for flip, _, _ in drawn} == {False, True}
    assert {top for _, top, _ in drawn} == {left for _, _, left in drawn} == set(range(5))


def test_nothing_asked_is_the_identity_and_the_generator_decides() -> None:
    x = images()
    torch.testing.assert_close(FlipCrop(0, flip=False)(x, x, torch.Generator())[0], x)
    first, again, other = (FlipCrop()(x, x, torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_mixup_mixes_inputs_and_rows_alike() -> None:
    codes = torch.arange(8) % 4
    inputs = F.one_hot(codes, 4)  # then the mixed inputs must equal the mixed rows
    x, rows = Mixup(4)(inputs, codes, torch.Generator().manual_seed(3))
    torch.testing.assert_close(x, rows)
    torch.testing.assert_close(rows.sum(1), torch.ones(8))
    assert ((rows > 0).sum(1) <= 2).all()
    assert (rows.max(1).values < 1).any()


@pytest.mark.parametrize("targets", [torch.tensor([0, 1, 2, 0], dtype=torch.int32), torch.eye(4, 3, dtype=torch.int8)])
def test_mixup_takes_targets_of_small_integers(targets):
    _, rows = Mixup(3)(torch.zeros(4, 2), targets, torch.Generator().manual_seed(0))
    assert rows.dtype == torch.float32
    assert rows.shape == (4, 3)
