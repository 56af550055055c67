"""The same work in PyTorch: with torchvision's deformable operator where it imports, and with `grid_sample`."""

from collections.abc import Callable
from functools import partial

import numpy as np

from yogo_jax.bench.measure import Work, random_params
from yogo_jax.configuration import ModelConfig, OptimConfig
from yogo_jax.convert import to_torch
from yogo_jax.errors import UserError
from yogo_jax.imaging import structure_and_detail
from yogo_jax.peers.config import ZoomingSlowMoConfig
from yogo_jax.weights import Params

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


def deform(arrays: list[np.ndarray], cotangent: np.ndarray | None, threads: int) -> Contenders:
    """`[B, H, W, C]` and the rest of `yogo_jax.ops.deform_conv`'s arguments, brought into PyTorch's layout; with the
    `cotangent`, `[B, H, W, K]`, its gradients as well."""
    torch.set_num_threads(threads)
    x, offset, mask, kernel = map(torch.tensor, arrays)
    inputs = [
        x.permute(0, 3, 1, 2).contiguous(),
        offset.flatten(3).permute(0, 3, 1, 2).contiguous(),
        mask.flatten(3).permute(0, 3, 1, 2).contiguous(),
        kernel.permute(3, 2, 0, 1).contiguous(),
    ]

    pulled = None if cotangent is None else torch.tensor(cotangent).permute(0, 3, 1, 2).contiguous()

    def prepare(backend: deform_conv.Backend) -> Work:
        leaves = [tensor.clone().requires_grad_(pulled is not None) for tensor in inputs]
        bias = torch.zeros(kernel.shape[-1])

        def work() -> None:
            x, offset, mask, weight = leaves
            y = deform_conv.deform_conv2d(x, offset, mask, weight, bias, backend)
            if pulled is not None:
                torch.autograd.grad(y, leaves, pulled)

        return work

    return {f"torch, {backend}": partial(prepare, backend) for backend in _backends()}


def model(
    config: ModelConfig,
    params: Params,
    against: list[str],
    frames: np.ndarray,
    truth: np.ndarray | None,
    threads: int,
) -> Contenders:
    """Networks in PyTorch, NCHW as PyTorch users write them, and in `channels_last`.

    `against` has "torch" for the network of the same record and parameters, "compiled" for the same by `torch.compile`
    (which wants a C++ compiler), and "zooming_slow_mo" for that one as published, with `random_params`. With the
    `truth` of the `frames` `[B, N, H, W, 3]`, it is a training step: Charbonnier distances of all heads, their
    gradients, AdaMax; of several examples also with their gradients taken in turn and added up, which needs the memory
    of one.
    """
    torch.set_num_threads(threads)
    x = _channels_first(frames)
    targets = [] if truth is None else [_channels_first(image) for image in (truth, *structure_and_detail(truth))]

    def prepare(
        config: ModelConfig, backend: deform_conv.Backend, last: bool, compiled: bool = False, parts: int = 1
    ) -> Work:
        network = torch_reference.build(config, backend).requires_grad_(bool(targets))
        network.load_state_dict(weights[config])
        if last:
            network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        call: Callable = torch.compile(network) if compiled else network
        if targets:
            work = partial(_train, call, _adamax(network), x, targets, parts)
        else:
            work = torch.no_grad()(partial(call, x))
        if compiled:
            work()
        return work

    peer = ZoomingSlowMoConfig()
    weights = {config: _tensors(params, config)}
    if "zooming_slow_mo" in against:
        weights[peer] = _tensors(random_params(peer.build(), frames), peer)
    found: Contenders = {}
    for name, record in (("torch", config), ("zooming_slow_mo", peer)):
        if name in against:
            for backend in _backends():
                found[f"{name}, {backend}"] = partial(prepare, record, backend, False)
                found[f"{name}, {backend}, channels_last"] = partial(prepare, record, backend, True)
                if targets and len(x) > 1:
                    found[f"{name}, {backend}, last, in turn"] = partial(prepare, record, backend, True, parts=len(x))
    if "compiled" in against:
        found["torch.compile, grid_sample, last"] = partial(prepare, config, "grid_sample", True, True)
    return found


def _tensors(params: Params, config: ModelConfig) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(array) for name, array in to_torch(params, config).items()}


def _adamax(network: torch.nn.Module) -> torch.optim.Optimizer:
    """The optimiser with its moments there, as JAX's has them before its first step; parameters stay as they are."""
    optimiser = torch.optim.Adamax(network.parameters(), 1e-4)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    optimiser.zero_grad()
    return optimiser


def _channels_first(frames: np.ndarray) -> torch.Tensor:
    return torch.tensor(frames).permute(0, 1, 4, 2, 3).contiguous()


def _train(
    network: Callable, optimiser: torch.optim.Optimizer, x: torch.Tensor, targets: list[torch.Tensor], parts: int
) -> None:
    """A step on a batch in equal parts. The targets are the images' own, their structure and their detail; only heads
    that are there count."""
    optimiser.zero_grad()
    for frames, *wanted in zip(*(array.chunk(parts) for array in (x, *targets)), strict=True):
        (_loss(network, frames, wanted) / parts).backward()
    optimiser.step()


def _loss(network: Callable, x: torch.Tensor, targets: list[torch.Tensor]) -> torch.Tensor:
    width = OptimConfig().charbonnier_width
    loss = torch.zeros(())
    output = network(x, auxiliary=True)
    own = output.image if output.unrefined is None else output.unrefined
    for image, target in zip((own, output.structure, output.detail), targets, strict=True):
        if image is not None:
            loss = loss + torch.sqrt((image - target[:, : image.shape[1]]) ** 2 + width**2).mean()
    return loss
