"""Damage video files in thousands of ways and upscale each: a played file or one clear line, nothing else.

    python scripts/fuzz_video.py --cases 2400 [--seeds FILE …] [--first 0]

Without --seeds, small files are made in every container that the reader takes; files of --seeds, which may be large,
keep their size (`--rate-only`). Each case damages one of them by its number alone, so a case is repeated by
`--first N --cases 1`. A worker process does the cases; one that hangs (--patience seconds) or dies is a finding, and
the next worker goes on after it. The network is bicubic, for speed: what is tried here is everything around it.
"""

import argparse
import collections
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SEEDS = {
    "h264.mp4": ("libx264", "yuv420p", "aac"),
    "hevc10.mkv": ("libx265", "yuv420p10le", "aac"),
    "vp9.webm": ("libvpx-vp9", "yuv420p", "libopus"),
    "mpeg4.avi": ("mpeg4", "yuv420p", "mp2"),
    "prores.mov": ("prores_ks", "yuv422p10le", "pcm_s16le"),
    "mpeg2.mpg": ("mpeg2video", "yuv420p", "mp2"),
    "h264.ts": ("libx264", "yuv420p", "aac"),
    "palette.gif": ("gif", "rgb8", None),
    "av1.mkv": ("libsvtav1", "yuv420p", None),
    "ffv1.avi": ("ffv1", "bgr0", None),
}


def make_seed(path: Path, codec: str, pix_fmt: str, audio: str | None, frames: int = 9) -> None:
    """A short moving picture of 64×48 with a tone."""
    rng = np.random.default_rng(7)
    picture = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8).repeat(6, 0).repeat(6, 1)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(codec, rate=Fraction(25))
        video.width, video.height, video.pix_fmt = 64, 48, pix_fmt
        if codec == "libx265":
            video.options = {"x265-params": "log-level=none"}
        sound: Any = container.add_stream(audio, rate=48000) if audio else None
        for number in range(frames):
            image = np.ascontiguousarray(np.roll(picture, 3 * number, 1)[:48, :64])
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
        if sound is not None:
            samples = (np.sin(np.arange(48000 * frames // 25) * 0.06) * 8000).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate = 48000
            resampler = av.AudioResampler(sound.format, sound.layout, 48000, frame_size=sound.frame_size or None)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(sound.encode(part))
            container.mux(sound.encode(None))


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """One of the ways in which files break, by accident or by intent."""
    content = bytearray(data)
    size = len(content)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, max(1, len(content))))
        length = int(rng.integers(1, max(2, size // 8)))
        match int(rng.integers(0, 9)):
            case 0:  # flipped bits, everywhere
                for place in rng.integers(0, max(1, len(content)), int(rng.integers(1, 60))):
                    content[int(place)] ^= 1 << int(rng.integers(0, 8))
            case 1:  # flipped bytes in the header
                for place in rng.integers(0, max(1, min(len(content), 600)), int(rng.integers(1, 12))):
                    content[int(place)] = int(rng.integers(0, 256))
            case 2:
                del content[at:]
            case 3:
                del content[at : at + length]
            case 4:
                content[at:at] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
            case 5:
                content[at : at + length] = bytes(len(content[at : at + length]))
            case 6:  # a part twice
                content[at:at] = content[at : at + length]
            case 7:  # extreme values of 32 and 64 bits
                extreme = [b"\xff" * 8, b"\x7f" + b"\xff" * 7, bytes(8), b"\x80" + bytes(7), b"\x00\x00\x00\x01" * 2]
                content[at : at + 8] = extreme[int(rng.integers(0, len(extreme)))]
            case 8:  # the tail of the file, where many keep their index
                tail = max(0, len(content) - 1500)
                for place in rng.integers(tail, max(tail + 1, len(content)), int(rng.integers(1, 20))):
                    content[int(place)] = int(rng.integers(0, 256))
        if not content:
            break
    return bytes(content)


def work(seeds: list[Path], folder: Path) -> None:
    """Do the cases whose numbers come by standard input, a line of JSON out for each."""
    import jax.numpy as jnp

    from yogo_jax import imaging
    from yogo_jax.errors import UserError
    from yogo_jax.video.network import Network
    from yogo_jax.video.options import Options
    from yogo_jax.video.pipeline import upscale_file

    def blend(frames):
        middle = (frames[:, :-1] + frames[:, 1:]) / 2
        pairs = jnp.stack([frames[:, :-1], middle], axis=2).reshape(frames.shape[0], -1, *frames.shape[2:])
        return imaging.upscale(jnp.concatenate([pairs, frames[:, -1:]], axis=1))

    network = Network(blend, "bicubic")
    for line in sys.stdin:
        case = int(line)
        rng = np.random.default_rng(case)
        seed = seeds[case % len(seeds)]
        source = folder / f"damaged{seed.suffix}"
        source.write_bytes(damage(seed.read_bytes(), rng))
        output = folder / ("out.mkv" if rng.integers(2) else "out.mp4")
        options = Options(
            damaged=bool(rng.integers(2)),
            rate_only=seed.name not in SEEDS,
            codec="libx264",
            preset="ultrafast",
            tile=(64, 64),
            overlap=16,
        )
        found = {"case": case, "seed": seed.name}
        try:
            summary = upscale_file(source, output, network, options)
            with av.open(str(output)) as container:
                played = sum(1 for _ in container.decode(video=0))
            problem = None if played == summary.frames_out else f"{played} of {summary.frames_out} frames play"
            found |= {"result": "played", "frames": summary.frames_in}
        except UserError as error:
            problem = "several lines" if "\n" in str(error) else None
            found |= {"result": "refused", "line": str(error)}
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        if problem is None and found["result"] == "refused" and output.exists():
            problem = "a file under the final name"
        if left := [path.name for path in folder.iterdir() if path.name.startswith(".out")]:
            problem = problem or f"left behind: {left}"
        found["problem"] = problem
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        print(json.dumps(found), flush=True)


class Worker:
    """A process that does cases; its answers are waited for only so long."""

    def __init__(self, seeds: list[Path], folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        command = [sys.executable, __file__, "--work", str(folder), "--seeds", *map(str, seeds)]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def do(self, case: int, patience: float) -> dict:
        """The worker's answer; {"problem": …} when it hangs or dies."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{case}\n")
            self._process.stdin.flush()
            answer = self._answers.get(timeout=patience)
        except queue.Empty:
            return {"case": case, "problem": f"hangs for more than {patience:g} s"}
        except BrokenPipeError:
            answer = ""
        if not answer:
            return {"case": case, "problem": f"the process died with {self._process.wait()}"}
        return json.loads(answer)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2400)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seeds", type=Path, nargs="+", help="files to damage (default: made here)")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds for a case")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work is not None:
        work(args.seeds, args.work)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        seeds = args.seeds or [Path(scratch, name) for name in SEEDS]
        if not args.seeds:
            for path in seeds:
                make_seed(path, *SEEDS[path.name])
        results, problems, worker = collections.Counter(), [], None
        for case in range(args.first, args.first + args.cases):
            worker = worker or Worker(seeds, Path(scratch, "work"))
            found = worker.do(case, args.patience)
            if found["problem"]:
                problems.append(found)
                print(json.dumps(found), flush=True)
                worker.end()
                worker = None
            results[(seeds[case % len(seeds)].name, "problem" if found["problem"] else found["result"])] += 1
            if (case - args.first + 1) % 100 == 0:
                print(f"{case - args.first + 1} cases, {len(problems)} problems", file=sys.stderr, flush=True)
        if worker is not None:
            worker.end()
    for (name, result), count in sorted(results.items()):
        print(f"{name:12} {result:8} {count}")
    print(f"{args.cases} cases, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
