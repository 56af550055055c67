"""Writes tests/convert/golden.npz: what the PyTorch networks compute, for machines without PyTorch.

    python scripts/make_golden.py

Weights and frames are made by a formula from their names, so that only results are kept: images, and for each
parameter's gradient its norm and its product with another such formula. They are computed in float64: in float32
a sample that falls on a pixel, where its gradient jumps, falls on one side on one machine and on the other on another.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from yogo_jax.configuration import ModelConfig
from yogo_jax.convert import torch_shapes
from yogo_jax.model.config import YOGOConfig
from yogo_jax.peers import TMNetConfig, ZoomingSlowMoConfig

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "convert" / "golden.npz"
CONFIGS: dict[str, ModelConfig] = {
    "yogo": YOGOConfig(filters=8, groups=4, fe_blocks=1, frb_backward=1, frb_forward=1, hfbs=1),
    "zooming_slow_mo": ZoomingSlowMoConfig(filters=8, groups=4, fe_blocks=1, recon_blocks=1),
    "tmnet": TMNetConfig(filters=8, groups=4, fe_blocks=1, recon_blocks=1, moments=(0.3,)),
}
HEADS = ("image", "structure", "detail", "unrefined")


def formula(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in (−1, 1) without an order to them, the same on every machine; float64."""
    index = np.arange(np.prod(shape, dtype=np.int64), dtype=np.float64)
    phase = zlib.crc32(name.encode()) % 10_007
    return (2 * ((index + phase) * 0.6180339887498949 % 1) - 1).reshape(shape) * np.cos(index + phase).reshape(shape)


def tensors(config: ModelConfig) -> dict[str, np.ndarray]:
    """A PyTorch state dict by the formula, of about the scale that training gives."""
    made = {}
    for name, shape in torch_shapes(config).items():
        fan_in = np.prod(shape[1:]) if len(shape) > 1 else 100
        scale = (6.0 if "offset_mask" in name else 3.0) * fan_in**-0.5
        made[name] = (scale * formula(name, shape)).astype(np.float32)
    return made


def frames() -> np.ndarray:
    """[1, 2, 5, 6, 3] in [0, 1]: a size that needs padding; chosen so that no sample falls within 1e-6 of a pixel."""
    return (formula("frames 2", (1, 2, 5, 6, 3)) / 2 + 0.5).astype(np.float32)


def weights_of_loss(head: str, shape: tuple[int, ...]) -> np.ndarray:
    """What each pixel of a head's image counts in the loss, of the image's shape: the loss is their product."""
    return formula(f"loss {head}", shape).astype(np.float32)


def summary(name: str, gradient: np.ndarray) -> np.ndarray:
    """A parameter's gradient in its PyTorch layout as two numbers: its norm, and its product with the formula."""
    gradient = gradient.astype(np.float64)
    return np.array([np.linalg.norm(gradient), (gradient * formula(f"gradient {name}", gradient.shape)).sum()])


def main() -> None:
    results = {key: array for name in CONFIGS for key, array in golden(name).items()}
    np.savez_compressed(GOLDEN, allow_pickle=False, **results)
    print(f"{GOLDEN}: {GOLDEN.stat().st_size} bytes")


def golden(name: str) -> dict[str, np.ndarray]:
    """Results of one PyTorch network, by "network/head" and "network/gradients"."""
    import torch

    from yogo_jax.torch_reference import build

    config = CONFIGS[name]
    network = build(config, backend="grid_sample")
    network.load_state_dict({key: torch.from_numpy(array) for key, array in tensors(config).items()})
    network.double()
    output = network(torch.from_numpy(np.moveaxis(frames(), -1, -3).astype(np.float64)), auxiliary=True)
    results, loss = {}, torch.zeros((), dtype=torch.float64)
    for head in HEADS:
        image: Any = getattr(output, head)
        if image is not None:
            image = image.movedim(-3, -1)
            loss = loss + (image * torch.from_numpy(weights_of_loss(head, tuple(image.shape)))).sum()
            results[f"{name}/{head}"] = image.detach().numpy().astype(np.float32)
    loss.backward()
    gradients = {key: np.asarray(parameter.grad) for key, parameter in network.named_parameters()}
    results[f"{name}/gradients"] = np.stack([summary(key, gradients[key]) for key in sorted(gradients)])
    return results


if __name__ == "__main__":
    main()
