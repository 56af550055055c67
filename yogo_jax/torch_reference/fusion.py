"""How YOGO joins the backward states, the forward states and the features of a frame: all [B, C, H, W]."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yogo_jax.torch_reference.blocks import conv, residual_blocks


class Gate(nn.Module):
    """Squeeze and excitation: [B, C, H, W] → weights [B, C, 1, 1] in (0, 1)."""

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        self.conv1 = conv(channels, channels // reduction, 1)
        self.conv2 = conv(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv2(F.relu(self.conv1(x.mean((2, 3), keepdim=True)))))


class Residual(nn.Module):
    """conv3(ReLU(conv3(x))), without the sum."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = conv(channels, channels)
        self.conv2 = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(x)))


class HFB(nn.Module):
    """Hybrid fusion block: b + R₁(b); f + R₂(f); F + SE₁(R₁(b)) ⊙ R₂(f) + SE₂(R₂(f)) ⊙ R₁(b)."""

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        self.residual_backward = Residual(channels)
        self.residual_forward = Residual(channels)
        self.gate_backward = Gate(channels, reduction)
        self.gate_forward = Gate(channels, reduction)

    def forward(self, backward: Tensor, forward: Tensor, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        b, f = self.residual_backward(backward), self.residual_forward(forward)
        features = features + self.gate_backward(b) * f + self.gate_forward(f) * b
        return backward + b, forward + f, features


class DirectFusion(nn.Module):
    """Table 3's direct fusion: conv1 over everything, then 2·hfbs residual blocks."""

    def __init__(self, channels: int, inputs: int, hfbs: int):
        super().__init__()
        self.fusion = conv(inputs * channels, channels, 1)
        self.recon_trunk = residual_blocks(channels, 2 * hfbs)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.recon_trunk(self.fusion(torch.cat(inputs, dim=1)))
