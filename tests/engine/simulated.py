"""A second device, simulated in host memory, that refuses what a GPU refuses; for processes of test_device.py.

Its tensors say that they are on device "sim". An operation on tensors of both devices is an error, save the few for
which a GPU takes tensors of the host too, and so are a generator of the host and a view as a NumPy array. All else
computes what the CPU computes, so that whatever trains here must end with exactly the CPU's numbers.
"""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CPUAccelerator
from lightning_fabric.strategies import SingleDeviceStrategy
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

# it does not take tensors of Python classes
torch.inference_mode = lambda mode=True: torch.no_grad() if mode else torch.enable_grad()

from losses.cases import CASES  # noqa: E402
from tailwise import load_model, losses  # noqa: E402
from tailwise.augment import FlipCrop, Mixup  # noqa: E402
from tailwise.engine import _devices, predict, train  # noqa: E402
from tailwise.engine.stage import Task  # noqa: E402
from tailwise.estimators import TailClassifier  # noqa: E402
from tailwise.nn import MLP, CIFARResNet  # noqa: E402
from tailwise.recipes import recipe, recipes  # noqa: E402

aten = torch.ops.aten
COPIES = (aten._to_copy.default, aten.copy_.default, aten.copy.default)
INDEXING = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default)


class Backend(backend_registration._DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


backend_registration._setup_privateuseone_for_python_backend("sim", backend_module=Backend())
DEVICE = torch.device("sim", 0)


class OnDevice(torch.Tensor):
    """A tensor of the device, with the host's tensor that holds its numbers."""

    host: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, host: torch.Tensor) -> "OnDevice":
        sizes = {"strides": host.stride(), "storage_offset": host.storage_offset(), "dtype": host.dtype}
        tensor = torch.Tensor._make_wrapper_subclass(cls, host.size(), device=DEVICE, **sizes)
        tensor.host = host
        return tensor

    @property
    def data(self) -> torch.Tensor:
        return self.detach()

    @data.setter
    def data(self, value: "OnDevice") -> None:
        torch.Tensor.data.__set__(self, value)
        self.host = value.host

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(function, args, kwargs or {})


def run(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation where its tensors are, or where it is told to put what it makes."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
    takes_both = function in COPIES or (function in INDEXING and isinstance(args[0], OnDevice))
    if there and not takes_both and any(tensor.ndim for tensor in tensors if not isinstance(tensor, OnDevice)):
        places = [f"{tuple(tensor.shape)} on {tensor.device}" for tensor in tensors]
        raise RuntimeError(f"{function}: expected all tensors to be on the same device; found {', '.join(places)}")
    onto = bool(there) if kwargs.get("device") is None else kwargs["device"].type == "sim"
    if onto and kwargs.get("generator") is not None:
        raise RuntimeError(f"{function}: expected a generator of device sim; found one of the CPU")
    if function is aten.copy_.default:
        onto = isinstance(args[0], OnDevice)
    host_args, host_kwargs = tree_map_only(OnDevice, lambda tensor: tensor.host, (args, kwargs))
    if kwargs.get("device") is not None:
        host_kwargs["device"] = torch.device("cpu")
    found = function(*host_args, **host_kwargs)
    if function is aten._to_copy.default and kwargs.get("device") is not None:
        return OnDevice(found) if onto else found
    if not onto:
        return found
    known = {id(tensor.host): tensor for tensor in there}
    found = tree_map_only(torch.Tensor, lambda host: known[id(host)] if id(host) in known else OnDevice(host), found)
    return return_and_correct_aliasing(function, args, kwargs, found) if there else found


class Simulated(TorchDispatchMode):
    """Let what is made on the device be made there."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(function, args, kwargs or {})


# torch.tensor() and .to() of Python's numbers pass by the mode.
@torch.library.impl("aten::empty_strided", "sim")
def empty_strided(size: Any, stride: Any, *, dtype: Any = None, **where: Any) -> OnDevice:
    return OnDevice(torch.empty_strided(size, stride, dtype=dtype, device="cpu"))


@torch.library.impl("aten::empty.memory_format", "sim")
def empty(size: Any, *, dtype: Any = None, **where: Any) -> OnDevice:
    return OnDevice(torch.empty(size, dtype=dtype, device="cpu"))


@torch.library.impl("aten::_copy_from", "sim")
def copy_from(source: Any, target: Any, non_blocking: bool = False) -> Any:
    ends = (end.host if isinstance(end, OnDevice) else end for end in (target, source))
    next(ends).copy_(next(ends))
    return target


class Accelerator(CPUAccelerator):
    def setup_device(self, device: torch.device) -> None:
        pass


def on_device(precision: Any, **settings: Any) -> Fabric:
    return Fabric(strategy=SingleDeviceStrategy(DEVICE, Accelerator()), devices=1, precision=precision)


DRAW = np.random.default_rng(0)
Y = np.eye(4, dtype=np.int64)[np.repeat(np.arange(4), [60, 30, 12, 5])]
X = (DRAW.normal(size=(len(Y), 6)) + 2 * Y[:, [0, 1, 2, 3, 0, 1]]).astype(np.float32)
SETS = np.maximum(Y, DRAW.random(Y.shape) < 0.1)


def alike(what: str, make: Callable[[torch.device], list[np.ndarray]]) -> None:
    """Check that what is made on the device equals what is made on the CPU."""
    torch.manual_seed(0)
    expected = make(torch.device("cpu"))
    with Simulated(), mock.patch.object(_devices, "Fabric", on_device):
        torch.manual_seed(0)
        found = make(DEVICE)
    assert len(found) == len(expected) > 0
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=what)
    print(what, "is alike", flush=True)


def check_refusals() -> None:
    """The device has to refuse, or what runs on it shows nothing."""
    with Simulated():
        there, here = torch.zeros(3, device=DEVICE), torch.ones(3)
        generator = torch.Generator()
        for wrong in (
            lambda: there + here,
            lambda: here.index_select(0, torch.zeros(1, dtype=torch.int64, device=DEVICE)),
            lambda: torch.nn.functional.linear(here, torch.zeros(2, 3, device=DEVICE)),
            lambda: torch.randn(3, device=DEVICE, generator=generator),
            lambda: there.numpy(),
            lambda: np.asarray(there),
        ):
            try:
                wrong()
            except RuntimeError:
                continue
            raise AssertionError("not refused")
        assert (there + here.to(DEVICE)).cpu().tolist() == [1, 1, 1]
        assert (there + torch.tensor(2.0))[torch.tensor([0])].cpu().tolist() == [2]


def check_losses() -> None:
    k, n = 5, 24
    draw = np.random.default_rng(0)
    logits, codes, rows = draw.uniform(-0.9, 0.9, (n, k)), np.arange(n) % k, draw.dirichlet(np.ones(k), n)
    features, counts = draw.normal(size=(n, 3)), np.array([400.0, 90, 30, 8, 2])

    def gradients(loss: Any, device: torch.device, inputs: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
        loss = loss.to(device)
        z = torch.tensor(inputs, dtype=torch.float32).to(device).requires_grad_()
        value = loss(z, torch.from_numpy(targets).to(device))
        value.sum().backward()
        assert value.device == z.grad.device == device
        return [tensor.detach().cpu().numpy() for tensor in (value, z.grad, *loss.state_dict().values())]

    ignored = np.where(codes == 3, -100, codes)
    for name, case in CASES.items():
        for targets in (codes, ignored) if case.hard_only else (codes, ignored, rows):
            for reduction in ("mean", "none"):
                build = partial(case.build, counts, reduction=reduction)
                alike(f"{name}, {reduction}", lambda device, b=build, y=targets: gradients(b(), device, logits, y))
    for cls in (losses.ChunkedSoftmaxLoss, partial(losses.SampledSoftmaxLoss, n_samples=4)):
        alike(repr(cls), lambda device, cls=cls: gradients(cls(3, k, counts), device, features, codes))


def scores(device: torch.device, task: Task, x: Any, y: Any, name: str = "cross-entropy", **settings: Any) -> list:
    network = train(recipe(name), task, x, y, random_state=0, progress=False, **settings)
    assert {parameter.device for parameter in network.parameters()} == {device}
    return [predict(network, x)]


def check_recipes() -> None:
    for name, cls in recipes().items():
        for kind in set(cls.targets) if "network" in cls.learners() else ():
            rows, n_sets = (Y, None) if kind == "class" else (SETS, len(SETS))
            task = Task(rows.sum(axis=0), backbone=partial(MLP, 6), epochs=2, batch_size=48, n_sets=n_sets)
            targets = rows.argmax(axis=1) if kind == "class" else rows
            alike(f"{name} by {kind}", partial(scores, task=task, x=X, y=targets, name=name))


def check_images() -> None:
    draw = np.random.default_rng(0)
    codes = Y.argmax(axis=1)
    images = (draw.integers(0, 80, (len(Y), 16, 16, 3)) + 40 * codes[:, None, None, None]).astype(np.uint8)
    task = Task(Y.sum(axis=0), backbone=partial(CIFARResNet, 8), epochs=2, batch_size=32)
    for augment, precision in ((FlipCrop(), "32-true"), (Mixup(4), "64-true")):
        make = partial(scores, task=replace(task, augment=augment), x=images, y=codes, precision=precision)
        alike(f"images, {augment}, {precision}", make)


class Interrupting:
    """Augmentation that stops training, once."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, inputs: Any, targets: Any, generator: torch.Generator) -> Any:
        self.left -= 1
        if self.left == 0:
            raise InterruptedError
        return inputs, targets

    def __repr__(self) -> str:
        return "Interrupting()"


def check_resuming() -> None:
    def resumed(device: torch.device, name: str) -> list[np.ndarray]:
        task = Task(
            Y.sum(axis=0),
            backbone=partial(MLP, 6),
            epochs=4,
            batch_size=32,
            optimizer=partial(torch.optim.AdamW, lr=1e-2),
            augment=Interrupting(at=11),
        )
        with tempfile.TemporaryDirectory() as folder:
            go_on = partial(scores, device, task, X, Y.argmax(axis=1), name, checkpoint_dir=folder, resume=True)
            with suppress(InterruptedError):
                go_on()
                raise AssertionError("not interrupted")
            return go_on()

    for name in ("crt", "equalization-v2", "meta-weight-net"):
        alike(f"{name}, interrupted", partial(resumed, name=name))


def check_estimator() -> None:
    def fitted(device: torch.device) -> list[np.ndarray]:
        names = np.array(["a", "b", "c", "d"])[Y.argmax(axis=1)]
        with tempfile.TemporaryDirectory() as folder:
            classifier = TailClassifier(["cross-entropy", "lws"], backbone="mlp", epochs=4, random_state=0, cv=0.3)
            classifier.fit(X, names).save(f"{folder}/model")
            return [classifier.predict_proba(X), load_model(f"{folder}/model").predict_proba(X)]

    alike("the estimator", fitted)
