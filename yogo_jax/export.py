"""Networks as artefacts that run without this package: StableHLO for JAX, ONNX for everything else.

StableHLO is a serialised `jax.export` program with its weights inside, for any height and width that the network's
pyramids divide, multiples of 4 or 8: with others, shapes would hang on a remainder, and JAX's symbolic shapes cannot
tell that two such shapes are equal. Pad before, repeating the last row and column, and crop after.

    program = jax.export.deserialize(open("yogo.stablehlo", "rb").read())
    image = program.call(frames)          # [1, N, H, W, 3] in [0, 1] → [1, T, 4H, 4W, 3], not clamped

ONNX comes from the PyTorch counterpart with the same weights, for one size: PyTorch's exporter unrolls the
recurrence over time and writes the deformable convolutions' gathers as GridSample, which ONNX Runtime knows.
"""

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from yogo_jax.configuration import ModelConfig
from yogo_jax.convert import to_torch
from yogo_jax.convert.state_dict import require_torch
from yogo_jax.errors import UserError
from yogo_jax.files import written_aside
from yogo_jax.ops.deform_conv import gather_everywhere

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
ONNX_OPSET = 20  # the first whose GridSample is the one that PyTorch's exporter writes


def write_stablehlo(
    path: Path, config: ModelConfig, params: Any, frames: int, size: tuple[int, int] | None = None
) -> None:
    """Write the network of inference for N frames as a serialised `jax.export.Exported`.

    Args:
      size: a fixed height and width; None leaves them open.
    """
    network: Any = config.build()
    multiple = config.multiple
    at_least_two = ("h >= 2", "w >= 2") if multiple == 1 else ()  # the bicubic mirrors two rows at each edge
    height, width = size or export.symbolic_shape(f"{multiple}*h, {multiple}*w", constraints=at_least_two)
    program = jax.jit(lambda frames: network.apply({"params": params}, frames).image)
    shape = jax.ShapeDtypeStruct((1, frames, height, width, 3), jnp.float32)
    with gather_everywhere():
        serialised = export.export(program, platforms=PLATFORMS)(shape).serialize()
    with written_aside(path) as aside:
        aside.write_bytes(serialised)


def write_onnx(path: Path, config: ModelConfig, params: Any, frames: int, size: tuple[int, int]) -> None:
    """Write the network of inference for N frames as ONNX: `frames` [1, N, 3, H, W] → `image` [1, T, 3, 4H, 4W].

    Args:
      size: H and W. They are fixed: the exporter's trace turns what depends on them into numbers.

    Raises:
      UserError: PyTorch or onnx is not installed.
    """
    torch = require_torch()
    if find_spec("onnx") is None:
        raise UserError('ONNX is written by way of PyTorch: pip install "yogo-jax[onnx]"')
    from yogo_jax.torch_reference import build

    class Inference(torch.nn.Module):
        """The image alone: a program has one output."""

        def __init__(self) -> None:
            super().__init__()
            self.network = build(config, backend="grid_sample")

        def forward(self, frames: Any) -> Any:
            return self.network(frames).image

    module = Inference().eval()
    tensors = to_torch(params, config)
    module.network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in tensors.items()})
    example = torch.zeros(1, frames, 3, *size)
    with warnings.catch_warnings(), written_aside(path) as aside:
        warnings.simplefilter("ignore")  # the tracing exporter's: that it fixes sizes, and that it has a successor
        torch.onnx.export(
            module,
            (example,),
            str(aside),
            input_names=["frames"],
            output_names=["image"],
            opset_version=ONNX_OPSET,
            # The successor was not done after minutes of processor time with the smallest of these networks.
            dynamo=False,
        )
