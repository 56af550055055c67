"""The same work in PyTorch: with torchvision's deformable operator where it imports, and with `grid_sample`."""

from collections.abc import Callable
from functools import partial

import numpy as np

from yogo_jax.bench.measure import Work
from yogo_jax.configuration import ModelConfig
from yogo_jax.errors import UserError
from yogo_jax.peers.config import ZoomingSlowMoConfig

try:
    import torch

    from yogo_jax import torch_reference
    from yogo_jax.torch_reference import deform_conv
except ImportError as error:
    raise UserError('--against torch needs PyTorch: pip install "yogo-jax[torch]"') from error

Contenders = dict[str, Callable[[], Work]]


def _backends() -> list[deform_conv.Backend]:
    found = deform_conv._torchvision_deform_conv2d is not None
    return ["torchvision", "grid_sample"] if found else ["grid_sample"]


def deform(arrays: list[np.ndarray], gradient: bool, threads: int) -> Contenders:
    """`[B, H, W, C]` and the rest of `yogo_jax.ops.deform_conv`'s arguments, brought into PyTorch's layout."""
    torch.set_num_threads(threads)
    x, offset, mask, kernel = map(torch.tensor, arrays)
    inputs = [
        x.permute(0, 3, 1, 2).contiguous(),
        offset.flatten(3).permute(0, 3, 1, 2).contiguous(),
        mask.flatten(3).permute(0, 3, 1, 2).contiguous(),
        kernel.permute(3, 2, 0, 1).contiguous(),
    ]

    def prepare(backend: deform_conv.Backend) -> Work:
        leaves = [tensor.clone().requires_grad_(gradient) for tensor in inputs]
        bias = torch.zeros(kernel.shape[-1])

        def work() -> None:
            x, offset, mask, weight = leaves
            y = deform_conv.deform_conv2d(x, offset, mask, weight, bias, backend)
            if gradient:
                torch.autograd.grad(y.sum(), leaves)

        return work

    return {f"torch, {backend}": partial(prepare, backend) for backend in _backends()}


def model(config: ModelConfig, against: list[str], frames: np.ndarray, gradient: bool, threads: int) -> Contenders:
    """Networks in PyTorch, NCHW as PyTorch users write them, and in `channels_last`.

    `against` has "torch" for the network of the same record, "compiled" for the same by `torch.compile` (which
    wants a C++ compiler), and "zooming_slow_mo" for that one as published.
    """
    torch.set_num_threads(threads)
    x = torch.tensor(frames).permute(0, 1, 4, 2, 3).contiguous()

    def prepare(config: ModelConfig, backend: deform_conv.Backend, last: bool, compiled: bool) -> Work:
        network = torch_reference.build(config, backend).requires_grad_(gradient)
        if last:
            network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        call: Callable = torch.compile(network) if compiled else network

        def work() -> None:
            with torch.set_grad_enabled(gradient):
                out = call(x, auxiliary=True) if gradient else call(x)
                if gradient:
                    torch.stack([image.mean() for image in out if image is not None]).sum().backward()
                    network.zero_grad()

        if compiled:
            work()
        return work

    found: Contenders = {}
    for name, record in (("torch", config), ("zooming_slow_mo", ZoomingSlowMoConfig())):
        if name in against:
            for backend in _backends():
                found[f"{name}, {backend}"] = partial(prepare, record, backend, False, False)
                found[f"{name}, {backend}, channels_last"] = partial(prepare, record, backend, True, False)
    if "compiled" in against:
        found["torch.compile, grid_sample, last"] = partial(prepare, config, "grid_sample", True, True)
    return found
