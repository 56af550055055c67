"""Batches for the smallest network."""

import numpy as np
import pytest


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
