"""What the user may ask of an upscaling run."""

from dataclasses import dataclass

from yogo_jax.video.shots import CUT_THRESHOLD


@dataclass(frozen=True)
class Options:
    """One run's settings; the defaults are those of the command line.

    Attributes:
      codec, crf, preset, pix_fmt: of the encoder; None leaves the choice to what the input is.
      scale_only: the known frames at four times the size, no new ones.
      rate_only: new frames at the input's size, by an antialiased shrink; known frames as they are.
      start, end: seconds of the input; end None is its end.
      side_by_side: the input, enlarged by bicubic, to the left of the result.
      cut_threshold: of the scene detector; None looks for no cuts.
      duplicates: look for repeated frames.
      memory: bytes that the run may take; None is half of what the machine has free.
      tile: (height, width) of a tile in input pixels; None chooses from the memory.
      overlap: input pixels that neighbouring tiles share; None is enough for the network.
      fps: of an input folder of images.
      drop: streams of the input to leave out.
      deinterlace: weave the fields of interlaced video into whole frames (bwdif).
      overwrite: an existing output may be replaced.
      damaged: go on with a file that is known to be cut short.
    """

    codec: str | None = None
    crf: float | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    scale_only: bool = False
    rate_only: bool = False
    start: float = 0.0
    end: float | None = None
    side_by_side: bool = False
    cut_threshold: float | None = CUT_THRESHOLD
    duplicates: bool = True
    memory: int | None = None
    tile: tuple[int, int] | None = None
    overlap: int | None = None
    fps: float = 25.0
    drop: frozenset[int] = frozenset()
    deinterlace: bool = True
    overwrite: bool = False
    damaged: bool = False
