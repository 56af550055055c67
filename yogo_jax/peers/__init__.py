"""Peers of YOGO whose authors published weights, from the same blocks where they are the same."""

from yogo_jax.peers.config import TMNetConfig, ZoomingSlowMoConfig

__all__ = ["TMNetConfig", "ZoomingSlowMoConfig"]
