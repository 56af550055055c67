"""How much memory there is, and the tile that it allows."""

import psutil

from yogo_jax.errors import UserError
from yogo_jax.video.network import Network
from yogo_jax.video.options import Options
from yogo_jax.video.tiles import TiledNetwork, choose_tile


def fitting_network(network: Network, height: int, width: int, options: Options) -> TiledNetwork:
    """The network with tiles that the memory allows. Raises UserError when not even small ones fit."""
    overlap = 32 if options.overlap is None else options.overlap
    budget = options.memory or psutil.virtual_memory().available // 2
    most = budget // 20_000
    try:
        tile = options.tile or choose_tile(height, width, overlap, most)
    except ValueError:
        raise UserError(f"--memory {budget / 1e9:.1f}GB is too little for frames of {width}x{height}") from None
    return TiledNetwork(network.apply, tile, overlap, shrink=options.rate_only)
