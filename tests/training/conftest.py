"""The smallest network that has every kind of layer, and batches for it."""

import numpy as np
import pytest

from yogo_jax.model.config import YOGOConfig


@pytest.fixture(scope="session")
def tiny() -> YOGOConfig:
    return YOGOConfig(
        filters=4,
        groups=1,
        fe_blocks=0,
        frb_backward=0,
        frb_forward=1,
        hfbs=1,
        pyramid_levels=1,
        dfu_direction="hidden",
    )


@pytest.fixture(scope="session")
def batches() -> list[dict[str, np.ndarray]]:
    """Eight batches of eight examples: lr [8, 2, 8, 8, 3] and hr [8, 3, 32, 32, 3], uint8."""
    rng = np.random.default_rng(0)
    return [
        {
            "lr": rng.integers(0, 256, (8, 2, 8, 8, 3), np.uint8),
            "hr": rng.integers(0, 256, (8, 3, 32, 32, 3), np.uint8),
        }
        for _ in range(8)
    ]
