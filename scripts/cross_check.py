"""Compares the Flax and the PyTorch network on your own weights, box by box.

    python scripts/cross_check.py weights.pth --clip folder_of_frames
    python scripts/cross_check.py --config configs/yogo_64.py

The weights are anything that `yogo convert` reads; without any, the config's network takes random ones that hide
nothing: offsets and masks move, and no layer is silent. Prints one line for each box's features, each image, the
gradient of the loss and three steps of AdaMax: the largest difference, beside the largest value. Exits with 1
where images differ by more than 1e-4 or a gradient by more than 1e-3 of its norm.
"""

import argparse
import math
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from PIL import Image

from data_pipelines.frames import image_files
from yogo_jax.configuration import ModelConfig, load_config
from yogo_jax.convert import Mismatch, to_flax, to_torch, torch_shapes
from yogo_jax.convert.source import Source, read_weights
from yogo_jax.errors import UserError
from yogo_jax.torch_reference import build

IMAGES, GRADIENTS = 1e-4, 1e-3
"""What the images may differ by, and a gradient relative to its norm."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="?")
    parser.add_argument("--config", help="the network, where the weights do not tell it")
    parser.add_argument("--clip", type=Path, help="folder of frames (default: noise)")
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--size", type=int, nargs=2, default=(24, 32), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--no-training", action="store_true", help="leave out gradients and AdaMax")
    args = parser.parse_args()
    try:
        config = load_config(args.config).model if args.config else None
        if args.weights:
            source = read_weights(args.weights, config)
        elif config:
            source = random_weights(config)
        else:
            parser.error("it takes weights, or --config for random ones")
        frames = load(args.clip, args.frames, args.size)
    except (UserError, Mismatch) as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if Comparison(source, frames).run(not args.no_training) else 1


def random_weights(config: ModelConfig) -> Source:
    """Weights of the usual sizes everywhere, also where an untrained network has zeros."""
    rng = np.random.default_rng(0)

    def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
        scale = 0.7 * math.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.1
        return rng.normal(0, 2 * scale if "offset_mask" in name else scale, shape).astype(np.float32)

    tensors = {name: draw(name, shape) for name, shape in torch_shapes(config).items()}
    return Source("jax", config, to_flax(tensors, config))


def load(clip: Path | None, count: int, size: tuple[int, int]) -> np.ndarray:
    """Frames [1, N, H, W, 3]: the middle of a clip's first ones, or noise."""
    height, width = size
    if clip is None:
        return np.random.default_rng(0).random((1, count, height, width, 3), np.float32)
    files = image_files(clip) if clip.is_dir() else []
    if len(files) < count:
        raise UserError(f"--clip {clip}: {len(files)} images; {count} are wanted (--frames)")
    frames = []
    for path in files[:count]:
        image = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
        if image.shape[0] < height or image.shape[1] < width:
            raise UserError(f"{path}: {image.shape[1]}×{image.shape[0]}, smaller than {width}×{height} (--size)")
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        frames.append(image[top : top + height, left : left + width])
    return np.stack(frames)[None]


class Comparison:
    """Both networks with the same weights, and a table of where they differ."""

    def __init__(self, source: Source, frames: np.ndarray):
        self.config, self.params, self.frames = source.config, source.params, frames
        self.flax, self.torch = self.config.build(), build(self.config)
        tensors = to_torch(self.params, self.config)
        self.torch.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
        self.torch_frames = torch.from_numpy(np.moveaxis(frames, -1, -3).copy())
        self.apply = jax.jit(
            partial(
                self.flax.apply,
                auxiliary=True,
                capture_intermediates=lambda module, _: len(module.path) == 1,
                mutable=["intermediates"],
            )
        )

    def run(self, training: bool) -> bool:
        """Prints the table. Whether all is within bounds."""
        print(f"{'':24} {'difference':>12} {'largest':>12}")
        passed = self.features_and_images()
        return self.training() and passed if training else passed

    def features_and_images(self) -> bool:
        found, captured = self.apply({"params": self.params}, self.frames)
        with torch.no_grad():
            expected, stages = self.torch(self.torch_frames, auxiliary=True), self.torch.stages(self.torch_frames)
        for name, tensor in stages.items():
            box = jax.tree.leaves(captured["intermediates"][name]["__call__"])[0]  # before any motion
            row(f"features of {name}", box, channels_last(tensor))
        heads = [name for name in expected._fields if getattr(expected, name) is not None]
        apart = [row(name, getattr(found, name), channels_last(getattr(expected, name))) for name in heads]
        return all(difference <= IMAGES for difference in apart)  # NaN is not

    def training(self) -> bool:
        rng = np.random.default_rng(1)
        shape = jax.eval_shape(self.flax.apply, {"params": self.params}, self.frames).image.shape
        target = rng.random(shape, np.float32)
        torch_target = torch.from_numpy(np.moveaxis(target, -1, -3).copy())

        def torch_loss():
            images = [image for image in self.torch(self.torch_frames, auxiliary=True) if image is not None]
            return torch.stack([((image - torch_target).square() + 1e-6).sqrt().mean() for image in images]).sum()

        @jax.jit
        @jax.grad
        def gradient(params):
            images = self.flax.apply({"params": params}, self.frames, auxiliary=True)
            return sum(jnp.sqrt((image - target) ** 2 + 1e-6).mean() for image in images if image is not None)

        torch_loss().backward()
        theirs = {name: np.asarray(parameter.grad) for name, parameter in self.torch.named_parameters()}
        ours = to_torch(gradient(self.params), self.config)
        worst = max(theirs, key=lambda name: np.nan_to_num(relative(ours[name], theirs[name]), nan=np.inf))
        row(f"gradient of {worst}", ours[worst], theirs[worst])
        print(f"{'  relative, the worst':24} {relative(ours[worst], theirs[worst]):12.2e}")

        optimiser, theirs_optimiser = optax.adamax(1e-4), torch.optim.Adamax(self.torch.parameters(), 1e-4)
        params: Any = self.params
        state = optimiser.init(params)
        for _ in range(3):
            updates, state = optimiser.update(gradient(params), state, params)
            params = optax.apply_updates(params, updates)
            theirs_optimiser.zero_grad()
            torch_loss().backward()
            theirs_optimiser.step()
        found, _ = self.apply({"params": params}, self.frames)
        with torch.no_grad():
            row("image, 3 AdaMax steps on", found.image, channels_last(self.torch(self.torch_frames).image))
        return relative(ours[worst], theirs[worst]) <= GRADIENTS


def channels_last(tensor: torch.Tensor) -> np.ndarray:
    return np.moveaxis(tensor.numpy(), -3, -1)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-30))


def row(name: str, found: jax.Array | np.ndarray, expected: np.ndarray) -> float:
    difference = float(np.abs(np.asarray(found) - expected).max())
    print(f"{name:24} {difference:12.2e} {np.abs(expected).max():12.2e}", flush=True)
    return difference


if __name__ == "__main__":
    sys.exit(main())
