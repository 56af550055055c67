"""The same networks in PyTorch: for those who train there, and as the reference for the Flax ones.

The networks follow the papers, not the Flax code, so that agreement between the two means something. Every
network is built from the record that builds its Flax counterpart, takes frames [B, N, 3, H, W] and returns
frames [B, T, 3, 4H, 4W]. The names of their tensors are written down in docs/conversion.md.

Importing this package needs PyTorch (`pip install "yogo-jax[torch]"`); torchvision is used where it imports.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError('yogo_jax.torch_reference needs PyTorch: pip install "yogo-jax[torch]"') from error

from yogo_jax.model.config import YOGOConfig
from yogo_jax.peers.config import TMNetConfig, ZoomingSlowMoConfig
from yogo_jax.torch_reference.blocks import Output
from yogo_jax.torch_reference.deform_conv import Backend
from yogo_jax.torch_reference.yogo import YOGO
from yogo_jax.torch_reference.zooming_slow_mo import TMNet, ZoomingSlowMo

__all__ = ["YOGO", "Output", "TMNet", "ZoomingSlowMo", "build"]


def build(config: YOGOConfig | ZoomingSlowMoConfig | TMNetConfig, backend: Backend = "auto"):
    """The PyTorch network of a record; `backend` of the deformable convolutions: see `deform_conv2d`."""
    match config:
        case YOGOConfig():
            return YOGO(config, backend)
        case TMNetConfig():
            return TMNet(config, backend)
        case ZoomingSlowMoConfig():
            return ZoomingSlowMo(config, backend)
