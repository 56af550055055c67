"""Make trained weights the packaged default model: float16, with a checksum.

python scripts/package_weights.py runs/small/best.safetensors
"""

import hashlib
import sys

import numpy as np

from yogo_jax.files import written_aside
from yogo_jax.weights import default_weights, load_weights, save_weights


def main(source: str) -> None:
    destination = default_weights()
    config, params = load_weights(source)
    save_weights(destination, config, params, dtype=np.float16)
    digest = hashlib.sha256(destination.read_bytes()).hexdigest()
    with written_aside(destination.with_suffix(".sha256")) as aside:
        aside.write_text(f"{digest}  {destination.name}\n")
    print(f"{destination}: {destination.stat().st_size / 1e6:.2f} MB, SHA-256 {digest}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
