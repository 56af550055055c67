"""TMNet, to evaluate or fine-tune the authors' weights (`yogo convert`) or to train anew.

`--config.model.moments="(0.25, 0.5, 0.75)"` makes three frames between each two.
"""

from yogo_jax.configuration import base
from yogo_jax.peers import TMNetConfig


def get_config():
    return base(TMNetConfig())
