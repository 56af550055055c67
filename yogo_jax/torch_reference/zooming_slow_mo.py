"""Zooming Slow-Mo (Xiang et al., CVPR 2020) and TMNet (Xu et al., CVPR 2021) in PyTorch.

The tensors have the names and shapes of the authors' published state dicts.
"""

import itertools

import torch
from torch import Tensor, nn

from yogo_jax.peers.config import TMNetConfig, ZoomingSlowMoConfig
from yogo_jax.torch_reference.aligner import AlignAndMerge, Pyramid, PyramidAligner
from yogo_jax.torch_reference.blocks import (
    Output,
    Reconstruction,
    conv,
    lrelu,
    pad_to_multiple,
    residual_blocks,
)
from yogo_jax.torch_reference.deform_conv import Backend, ModulatedDeformConv


class ConvLSTMCell(nn.Module):
    """x, h, c [B, C, H, W] → the next h and c."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = conv(2 * channels, 4 * channels)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, o, g = self.conv(torch.cat((x, h), dim=1)).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class DeformableConvLSTM(nn.Module):
    """A ConvLSTM whose hidden and cell states are aligned with the input before each step."""

    def __init__(self, channels: int, groups: int, backend: Backend):
        super().__init__()
        self.pcd_h = AlignAndMerge(channels, groups, 3, 2, backend)
        self.pcd_c = AlignAndMerge(channels, groups, 3, 2, backend)
        self.cell_list = nn.ModuleList([ConvLSTMCell(channels)])

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        h = c = torch.zeros_like(features[0])
        states = []
        for x in features:
            h, c = self.cell_list[0](x, self.pcd_h(x, h), self.pcd_c(x, c))
            states.append(h)
        return states


class BidirectionalConvLSTM(nn.Module):
    """The same ConvLSTM run both ways through time, merged by a 1×1 convolution."""

    def __init__(self, channels: int, groups: int, backend: Backend):
        super().__init__()
        self.forward_net = DeformableConvLSTM(channels, groups, backend)
        self.conv_1x1 = conv(2 * channels, channels, 1)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        there = self.forward_net(features)
        back = self.forward_net(features[::-1])[::-1]
        return [self.conv_1x1(torch.cat(pair, dim=1)) for pair in zip(there, back, strict=True)]


class ZoomingSlowMo(Reconstruction, Pyramid):
    """The network of `config`."""

    def __init__(self, config: ZoomingSlowMoConfig | TMNetConfig, backend: Backend = "auto"):
        """`backend` of the deformable convolutions: see `deform_conv2d`."""
        channels, groups = config.filters, config.groups
        super().__init__()
        self.add_pyramid(channels, 3)
        self.add_reconstruction(channels)
        self.config = config
        self.conv_first = conv(3, channels)
        self.feature_extraction = residual_blocks(channels, config.fe_blocks)
        modulated = isinstance(config, TMNetConfig)
        self.pcd_align = PyramidAligner(channels, groups, backend=backend, modulated=modulated)
        self.fusion = conv(2 * channels, channels, 1)
        self.ConvBLSTM = BidirectionalConvLSTM(channels, groups, backend)
        self.recon_trunk = residual_blocks(channels, config.recon_blocks)

    moments: tuple[float, ...] = (0.0,)  # of the frames made between two known ones: −1 the first, 1 the second

    def forward(self, frames: Tensor, auxiliary: bool = False) -> Output:
        """frames [B, N, 3, H, W], RGB in [0, 1], N ≥ 2 → frames [B, T, 3, 4H, 4W]; there is nothing auxiliary."""
        batch, _, _, height, width = frames.shape
        first = self._first_features(pad_to_multiple(frames, 4))
        features = torch.stack(self._temporal(first), dim=1)
        image = self.reconstruct(self._trunk(features.flatten(0, 1), torch.stack(first, dim=1).flatten(0, 1)))
        return Output(image.unflatten(0, (batch, -1))[..., : 4 * height, : 4 * width])

    def stages(self, frames: Tensor) -> dict[str, Tensor]:
        """Features [B, T, C, H, W] after the recurrent box of the network, by its name in Flax: for comparisons."""
        return {"lstm": torch.stack(self._temporal(self._first_features(pad_to_multiple(frames, 4))), dim=1)}

    def _first_features(self, frames: Tensor) -> list[Tensor]:
        x = self.feature_extraction(lrelu(self.conv_first(frames.flatten(0, 1))))
        levels = [level.unflatten(0, frames.shape[:2]).unbind(1) for level in self.pyramid(x)]
        known = [list(pyramid) for pyramid in zip(*levels, strict=True)]
        features = [known[0][0]]
        for before, after in itertools.pairwise(known):
            features += [self.fusion(self.pcd_align(before, after, moment)) for moment in self.moments]
            features.append(after[0])
        return features

    def _temporal(self, features: list[Tensor]) -> list[Tensor]:
        return self.ConvBLSTM(features)

    def _trunk(self, x: Tensor, first: Tensor) -> Tensor:
        return self.recon_trunk(x)


class TMNet(ZoomingSlowMo):
    """Zooming Slow-Mo with frames at any moment, and each frame's features compared with its neighbours'."""

    def __init__(self, config: TMNetConfig, backend: Backend = "auto"):
        super().__init__(config, backend)
        channels = config.filters

        def offsets() -> nn.Sequential:
            return nn.Sequential(conv(2 * channels, channels), nn.LeakyReLU(0.1), conv(channels, channels))

        self.moments = tuple(2 * moment - 1 for moment in config.moments)
        self.layersAtBOffset, self.layersCtBOffset = offsets(), offsets()
        self.layersAtB = ModulatedDeformConv(channels, config.groups, backend)
        self.layersCtB = ModulatedDeformConv(channels, config.groups, backend)
        self.layersFusion = nn.Sequential()
        for _ in range(3):
            self.layersFusion.extend([conv(3 * channels, 3 * channels, 1), nn.LeakyReLU(0.1)])
        self.layersFusion.append(conv(3 * channels, channels, 1))

    def _temporal(self, features: list[Tensor]) -> list[Tensor]:
        before, after = features[:1] + features[:-1], features[1:] + features[-1:]
        compared = [x + self._compare(a, x, c) for a, x, c in zip(before, features, after, strict=True)]
        return self.ConvBLSTM(compared)

    def _compare(self, before: Tensor, x: Tensor, after: Tensor) -> Tensor:
        a = lrelu(self.layersAtB(before, self.layersAtBOffset(torch.cat((before, x), dim=1))))
        c = lrelu(self.layersCtB(after, self.layersCtBOffset(torch.cat((after, x), dim=1))))
        return self.layersFusion(torch.cat((a, x, c), dim=1))

    def _trunk(self, x: Tensor, first: Tensor) -> Tensor:
        return self.recon_trunk(x) + first
