"""Arrays as pictures inside a page."""

import base64
import io

import matplotlib
import numpy as np
from PIL import Image

QUALITY = 95  # of WebP: what differs between methods has to survive it


def data_uri(image: np.ndarray, lossless: bool = False) -> str:
    """[H, W] or [H, W, 3], uint8, as a WebP `data:` address."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=QUALITY, lossless=lossless)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def heat(values: np.ndarray, top: float) -> np.ndarray:
    """[H, W] on 0..top as [H, W, 3] in the colours of matplotlib's inferno."""
    return (matplotlib.colormaps["inferno"](np.clip(values / top, 0, 1))[..., :3] * 255).astype(np.uint8)


def grey(values: np.ndarray, bottom: float, top: float) -> np.ndarray:
    """[H, W] on bottom..top as 8-bit grey."""
    return (np.clip((values - bottom) / max(top - bottom, 1e-12), 0, 1) * 255).astype(np.uint8)
