"""Eight CPU devices for the tests of sharding, quick compilation, and the optional folder of real footage."""

import os
import tempfile
from pathlib import Path

import pytest

# Most of the time here goes into compiling small programs that run once: compile them quickly.
QUICKLY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICKLY}"

import jax  # noqa: E402  (after its flags)

# Commands that tests start keep their compiled programs here, not among the user's.
os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="yogo-tests-")
jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real footage beside the project; the test is skipped where there is none."""
    folder = Path(__file__).resolve().parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the project")
    return folder
