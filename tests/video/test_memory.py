"""The tile that the memory allows."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from yogo_jax.errors import UserError
from yogo_jax.video.memory import fitting_tile
from yogo_jax.video.network import load_network
from yogo_jax.video.options import Options


def test_less_memory_gives_smaller_tiles_and_then_none(bicubic):
    sizes = [
        int(np.prod(fitting_tile(bicubic, 1080, 1920, np.dtype(np.uint8), Options(memory=gigabytes * 10**9))))
        for gigabytes in (200, 50, 15)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 3
    with pytest.raises(UserError, match=r"0\.1 GB of memory is too little for frames of 1920x1080: --memory \d+"):
        fitting_tile(bicubic, 1080, 1920, np.dtype(np.uint8), Options(memory=10**8))


def test_a_tile_takes_what_the_network_says():
    """The packaged network's temporaries for a tile, as the compiler counts them."""
    network = load_network()
    tile = jax.ShapeDtypeStruct((1, network.frames, 96, 96, 3), np.float32)
    memory = jax.jit(network.apply).lower(tile).compile().memory_analysis()
    assert 0.6 < memory.temp_size_in_bytes / (96 * 96 * network.bytes_per_pixel) < 1


def test_an_accelerator_does_not_make_up_for_the_hosts_memory(bicubic, monkeypatch):
    """A stand-in for an accelerator of 80 GB: the tile is by its memory, the frames are the host's to hold."""
    device = SimpleNamespace(platform="gpu", memory_stats=lambda: {"bytes_limit": 80 * 10**9, "bytes_in_use": 0})
    monkeypatch.setattr(jax, "devices", lambda: [device])
    assert np.prod(fitting_tile(bicubic, 1080, 1920, np.dtype(np.uint8), Options(memory=10**10))) > 600_000
    with pytest.raises(UserError, match=r"0\.1 GB of memory is too little"):
        fitting_tile(bicubic, 1080, 1920, np.dtype(np.uint8), Options(memory=10**8))
