"""Opening a file as a container of media, or as an image.

The file may be made to do harm: FFmpeg is held to that one local file, and to formats that hold media themselves
(no playlists that name other files).
"""

import io
import os
import stat
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from yogo_jax.errors import UserError

# Containers of media; not the formats that are lists of other files (hls, dash, concat, sdp, …).
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,av1,obu,ivf,flv,live_flv,asf,ogg,gif,"
    "apng,dv,mxf,nut,wtv,rm,yuv4mpegpipe,mjpeg,mpegtsraw,vc1,h263,h261,dirac,rawvideo,swf,nsv,roq,vvc,evc"
)
_IMAGE_FORMATS = ",".join(f"{kind}_pipe" for kind in ("png", "jpeg", "tiff", "bmp", "webp", "ppm", "pgm", "pbm", "exr"))
_TIMEOUT = 60.0  # seconds that opening, or one read, may take


def check_file(path: Path) -> None:
    """Raises UserError when `path` is not a file that can be read twice."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            with open(path, "rb") as file:
                if not file.read(1):
                    raise UserError(f"{path} is empty (0 bytes)")
            return
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    kind = "a pipe" if stat.S_ISFIFO(mode) else "not a regular file"
    raise UserError(f"{path} is {kind}: save it to a file first, it is read more than once")


def open_container(path: Path) -> InputContainer:
    """The container at `path`, with FFmpeg held to that one file. Raises UserError."""
    check_file(path)
    try:
        # "file:" keeps FFmpeg from reading a protocol into the name.
        return av.open(
            f"file:{path}",
            metadata_errors="replace",
            options={"format_whitelist": _FORMATS, "protocol_whitelist": "file", "max_streams": "1000"},
            timeout=_TIMEOUT,
        )
    except (FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{path} is not a video that FFmpeg can read ({reason(error)})") from None


def main_video(container: InputContainer) -> VideoStream | None:
    """The video stream that players show: the default one or else the first; no cover pictures."""
    candidates = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    return max(
        candidates, key=lambda stream: (bool(stream.disposition & Disposition.default), -stream.index), default=None
    )


def open_image(path: Path) -> InputContainer:
    """The image at `path`: its bytes alone, so nothing in it or its name leads to other files. Raises UserError."""
    check_file(path)
    try:
        # Without a name: FFmpeg would take "a%d.png" as a pattern.
        content = io.BytesIO(path.read_bytes())
        return av.open(content, "r", options={"format_whitelist": _IMAGE_FORMATS, "protocol_whitelist": ""})
    except (FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an image ({reason(error)})") from None


def reason(error: Exception) -> str:
    """What FFmpeg or the system says of an error, in one line."""
    return str(getattr(error, "strerror", None) or error).splitlines()[0] if str(error) else type(error).__name__
