"""`python -m yogo_jax`: the `yogo` command."""

import sys

from yogo_jax.cli import main

sys.exit(main())
