"""Static HDR10 metadata (SMPTE ST 2086 and CTA-861.3): read from frames, handed to encoders."""

from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import Type

from yogo_jax.errors import UserError


@dataclass(frozen=True)
class Hdr10:
    """The mastering display and the light level of the content.

    Attributes:
      primaries: CIE 1931 (x, y) of red, green, blue and white; None when absent.
      luminance: least and most, cd/m²; None when absent.
      light: MaxCLL and MaxFALL, cd/m²; None when absent.
    """

    primaries: tuple[tuple[float, float], ...] | None = None
    luminance: tuple[float, float] | None = None
    light: tuple[int, int] | None = None


def side_data(frame: av.VideoFrame, kind: Type) -> bytes | None:
    """The bytes of a frame's side data of one kind."""
    try:
        return bytes(frame.side_data[kind])  # pyright: ignore[reportGeneralTypeIssues]
    except (KeyError, ValueError):  # ValueError: the frame carries a kind that PyAV has no name for
        return None


def metadata(frame: av.VideoFrame) -> Hdr10 | None:
    """What the frame says of its HDR10 mastering, or None."""
    mastering = side_data(frame, Type.MASTERING_DISPLAY_METADATA)
    level = side_data(frame, Type.CONTENT_LIGHT_LEVEL)
    primaries = luminance = light = None
    if mastering is not None and len(mastering) >= 88:
        # AVMasteringDisplayMetadata: R, G, B, white (x, y), least and most luminance as fractions; two flags.
        numbers = np.frombuffer(mastering[:88], np.int32)
        fractions = numbers[:20].reshape(10, 2)
        values = [float(a) / float(b) if b else 0.0 for a, b in fractions]
        if numbers[20]:
            primaries = tuple((values[2 * i], values[2 * i + 1]) for i in range(4))
        if numbers[21]:
            luminance = (values[8], values[9])
    if level is not None and len(level) >= 8:
        most, average = np.frombuffer(level[:8], np.uint32)
        light = (int(most), int(average))
    found = Hdr10(primaries, luminance, light)
    return found if found != Hdr10() else None


def encoder_options(codec: str, hdr: Hdr10) -> dict[str, str]:
    """FFmpeg options that make `codec` write the metadata. Raises UserError for a codec that has no place for it."""
    if codec == "libx265":
        return {"x265-params": ":".join(_parameters(hdr, "master-display", "max-cll", 50000, 10000))}
    if codec == "libx264":
        return {"x264-params": ":".join(_parameters(hdr, "mastering-display", "cll", 50000, 10000))}
    if codec == "libsvtav1":
        return {"svtav1-params": ":".join(_parameters(hdr, "mastering-display", "content-light", None, None))}
    raise UserError(f"{codec} cannot carry the HDR10 metadata of the input: use --codec libx265")


def _parameters(hdr: Hdr10, display: str, light: str, chroma: int | None, nits: int | None) -> list[str]:
    """Encoders count chromaticities in 1/50000 and luminances in 1/10000, or take plain numbers."""

    def number(value: float, unit: int | None) -> str:
        return f"{value:.5f}" if unit is None else str(round(value * unit))

    parameters = []
    if hdr.primaries and hdr.luminance:
        red, green, blue, white = (f"({number(x, chroma)},{number(y, chroma)})" for x, y in hdr.primaries)
        least, most = (number(value, nits) for value in hdr.luminance)
        parameters.append(f"{display}=G{green}B{blue}R{red}WP{white}L({most},{least})")
    if hdr.light:
        parameters.append(f"{light}={hdr.light[0]},{hdr.light[1]}")
    return parameters
