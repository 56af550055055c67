"""The same work in PyTorch: with torchvision's deformable operator where it imports, and with `grid_sample`."""

from collections.abc import Callable
from functools import partial

import numpy as np

from yogo_jax.bench.measure import Work
from yogo_jax.configuration import ModelConfig
from yogo_jax.errors import UserError

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


def model(config: ModelConfig, frames: np.ndarray, gradient: bool, threads: int) -> Contenders:
    """The network of the same record, NCHW as PyTorch users write it, and in `channels_last`."""
    torch.set_num_threads(threads)
    x = torch.tensor(frames).permute(0, 1, 4, 2, 3).contiguous()

    def prepare(backend: deform_conv.Backend, channels_last: bool) -> Work:
        network = torch_reference.build(config, backend).requires_grad_(gradient)
        if channels_last:
            network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

        def work() -> None:
            with torch.set_grad_enabled(gradient):
                out = network(x, auxiliary=True) if gradient else network(x)
                if gradient:
                    torch.stack([image.mean() for image in out if image is not None]).sum().backward()
                    network.zero_grad()

        return work

    layouts = {"": False, ", channels_last": True}
    return {
        f"torch, {backend}{name}": partial(prepare, backend, last)
        for backend in _backends()
        for name, last in layouts.items()
    }
