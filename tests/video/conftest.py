"""Videos that the tests make, a fast network, and what a file holds, by FFmpeg's own reading."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import jax.numpy as jnp
import numpy as np
import pytest

from yogo_jax import imaging
from yogo_jax.video.network import Network

WIDTH, HEIGHT = 64, 48


def _pictures(count: int, seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> list[np.ndarray]:
    """A pattern of soft blocks that moves 3 pixels a frame: [H, W, 3] uint8."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(30, 220, (height // 24 + 1, (width + 3 * count) // 24 + 2, 3), dtype=np.uint8)
    large = blocks.repeat(24, 0).repeat(24, 1)
    return [np.ascontiguousarray(large[:height, 3 * i : 3 * i + width]) for i in range(count)]


def _make_video(
    path: Path,
    images: Sequence[np.ndarray],
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 12800),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    configure: Callable[[Any], None] = lambda stream: None,
    audio: str | None = None,
    subtitles: Path | None = None,
    chapters: list | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write `images` at `times` (ticks; 25 a second by default), with a tone, subtitles of another file, chapters."""
    times = times if times is not None else [512 * i for i in range(len(images))]
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=Fraction(25), options=options or {})
        video.height, video.width = images[0].shape[:2]
        video.pix_fmt = pix_fmt
        if codec not in ("mpeg2video", "mpeg4"):  # their time base is one of few rates
            video.codec_context.time_base = video.time_base = time_base
        configure(video)
        sound = container.add_stream(audio, rate=48000) if audio else None
        texts = av.open(str(subtitles)) if subtitles else None
        words = container.add_stream_from_template(texts.streams.subtitles[0]) if texts else None
        container.metadata.update(metadata or {})
        if chapters:
            container.set_chapters(chapters)
        for image, pts in zip(images, times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24" if image.dtype == np.uint8 else "rgb48le")
            frame = frame.reformat(format=pix_fmt, dst_colorspace=1, dst_color_range=1)
            frame.pts, frame.time_base = pts, time_base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            end = (times[-1] * time_base + Fraction(1, 25)) - times[0] * time_base
            wave = (np.sin(np.arange(int(48000 * end)) * 0.06) * 8000).astype(np.int16)
            part = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            part.sample_rate = 48000
            resampler = av.AudioResampler(sound.format, sound.layout, 48000, frame_size=sound.frame_size or None)
            start = round(times[0] * time_base * 48000)
            for piece in [*resampler.resample(part), *resampler.resample(None)]:
                piece.pts, piece.time_base = start, Fraction(1, 48000)
                start += piece.samples
                container.mux(sound.encode(piece))
            container.mux(sound.encode(None))
        if texts and words:
            for packet in texts.demux():
                if packet.dts is not None:
                    packet.stream = words
                    container.mux(packet)
            texts.close()
    return path


@dataclass
class Probe:
    """What a file holds: times in seconds, as exact fractions."""

    times: list[Fraction]
    frames: list[av.VideoFrame]
    streams: list[str]
    packets: dict[str, list[tuple[Fraction, bytes]]]
    duration: Fraction
    container: Any


def _probe(path: Path) -> Probe:
    """Decode all of the video, and read the packets of all other streams."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    with av.open(str(path)) as container:
        others = [stream for stream in container.streams if stream.type in ("audio", "subtitle")]
        packets: dict[str, list[tuple[Fraction, bytes]]] = {}
        for packet in container.demux(*others) if others else ():
            if packet.size and packet.pts is not None:
                key = f"{packet.stream.type}{packet.stream.index}"
                packets.setdefault(key, []).append((packet.pts * packet.time_base, bytes(packet)))
        names = [f"{stream.type}:{stream.codec_context.name}" for stream in container.streams]
        duration = Fraction(container.duration or 0, av.time_base)
    times = [frame.pts * frame.time_base for frame in frames]
    return Probe(times, frames, names, packets, duration, container)


def _blend(frames):
    """Bicubic ×4, and the mean of two frames between them."""
    middle = (frames[:, :-1] + frames[:, 1:]) / 2
    pairs = jnp.stack([frames[:, :-1], middle], axis=2).reshape(frames.shape[0], -1, *frames.shape[2:])
    return imaging.upscale(jnp.concatenate([pairs, frames[:, -1:]], axis=1))


def _nearest(frames):
    """Every pixel, and every frame but the last, repeated."""
    return jnp.repeat(jnp.repeat(jnp.repeat(frames, 2, axis=1)[:, :-1], 4, axis=2), 4, axis=3)


@pytest.fixture(scope="session")
def nearest() -> Network:
    return Network(_nearest, "nearest")


@pytest.fixture(scope="session")
def bicubic() -> Network:
    return Network(_blend, "bicubic")


@pytest.fixture(scope="session")
def pictures() -> Callable[..., list[np.ndarray]]:
    return _pictures


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    return _make_video


@pytest.fixture(scope="session")
def probe() -> Callable[[Path], Probe]:
    return _probe
