"""Pictures and films of a report with loss: a few per cent of the bytes, to look at and not to measure."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Any

QUALITY = 88  # of WebP: no difference shows at its own size
FILM = {"crf": "24", "deadline": "good", "cpu-used": "5", "lag-in-frames": "0", "auto-alt-ref": "0"}
BITS_A_PIXEL = 0.4
BT709, LIMITED = 1, 1  # FFmpeg's names of a colour matrix and a range


def picture(data: bytes) -> bytes:
    """A picture as WebP with loss; as it was where that is no smaller."""
    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB").save(out, "WEBP", quality=QUALITY, method=4)
    return min(out.getvalue(), data, key=len)


def film(data: bytes) -> bytes:
    """A WebM as VP9 with loss, of the same frames at the same times; as it was where that is no smaller.

    One thread and no dates: the same film gives the same bytes.
    """
    import av

    out = io.BytesIO()
    source: Any = av.open(io.BytesIO(data))
    target: Any = av.open(out, "w", format="webm", options={"fflags": "+bitexact"})
    with source, target:
        given = source.streams.video[0]
        rate = Fraction(given.average_rate or 25)
        stream: Any = target.add_stream("libvpx-vp9", rate=rate, options=FILM)
        stream.width, stream.height, stream.pix_fmt = given.width, given.height, "yuv420p"
        context = stream.codec_context
        context.thread_count, context.gop_size = 1, 12
        context.colorspace, context.color_range = BT709, LIMITED
        context.bit_rate = int(BITS_A_PIXEL * given.width * given.height * float(rate))
        for number, frame in enumerate(source.decode(given)):
            frame = frame.reformat(format="yuv420p", dst_colorspace=BT709)
            frame.pts, frame.time_base = number, 1 / rate
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return min(out.getvalue(), data, key=len)
