"""Show that memory does not grow with a video's length: the peak of `yogo upscale`'s pipeline for several lengths.

    python scripts/measure_memory.py --minutes 1 10 60

Makes a moving picture of 32×24 with sound for each length and upscales it in a process of its own, with a network that
repeats pixels, so that an hour does not take a day: what is measured is everything around the network. The little that
an hour takes more is FFmpeg's index of an mp4 file.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import jax
import jax.numpy as jnp
import numpy as np
import psutil

from yogo_jax.video.network import Network
from yogo_jax.video.options import Options
from yogo_jax.video.pipeline import upscale_file

RATE, WIDTH, HEIGHT, SOUND = 25, 32, 24, 8000


def make(path: Path, minutes: int) -> None:
    """A picture that moves for so long, with a tone."""
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, 400, 3), np.uint8)
    tone = (np.sin(np.arange(SOUND) * 0.1) * 0.2).astype(np.float32)[None]
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound: Any = container.add_stream("aac", rate=SOUND)
        for number in range(minutes * 60 * RATE):
            if number % RATE == 0:
                heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
                heard.sample_rate, heard.pts, heard.time_base = SOUND, number // RATE * SOUND, Fraction(1, SOUND)
                container.mux(sound.encode(heard))
            left = number % (picture.shape[1] - WIDTH)
            image = np.ascontiguousarray(picture[:, left : left + WIDTH])
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))


def repeated(frames: jax.Array) -> jax.Array:
    """[B, N, h, w, 3] → [B, 2N−1, 4h, 4w, 3]."""
    return jnp.repeat(jnp.repeat(jnp.repeat(frames, 2, 1)[:, :-1], 4, 2), 4, 3)


def upscale(source: Path, output: Path) -> None:
    summary = upscale_file(source, output, Network(repeated, "repeated"), Options(preset="ultrafast", tile=(32, 32)))
    print(summary.frames_out)


def peak(command: list[str]) -> tuple[int, str]:
    """Largest resident memory of a process in bytes, looked at every 20 ms, and what it printed."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    watched, largest = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            largest = max(largest, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(process.returncode)
    return largest, output.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 10, 60])
    parser.add_argument("--container", choices=["mp4", "mkv"], default="mp4", help="of the output")
    parser.add_argument("--one", type=Path, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        upscale(*args.one)
        return
    with tempfile.TemporaryDirectory() as folder:
        for minutes in args.minutes:
            source, output = Path(folder, f"{minutes}.mp4"), Path(folder, f"{minutes}_4x.{args.container}")
            make(source, minutes)
            began = time.monotonic()
            largest, frames = peak([sys.executable, __file__, "--one", os.fspath(source), os.fspath(output)])
            print(
                f"{minutes:4d} min: peak {largest / 2**20:,.0f} MiB, {frames} frames out, "
                f"{time.monotonic() - began:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
