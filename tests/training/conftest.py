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
    """Four batches of eight examples: lr [8, 2, 8, 8, 3] and hr [8, 3, 32, 32, 3], float32 in [0, 1]."""
    rng = np.random.default_rng(0)
    return [
        {
            "lr": rng.uniform(size=(8, 2, 8, 8, 3)).astype(np.float32),
            "hr": rng.uniform(size=(8, 3, 32, 32, 3)).astype(np.float32),
        }
        for _ in range(4)
    ]
