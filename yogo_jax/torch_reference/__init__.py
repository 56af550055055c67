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

from yogo_jax.torch_reference.yogo import YOGO, Output

__all__ = ["YOGO", "Output"]
