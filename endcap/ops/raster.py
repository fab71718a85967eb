"""What a picture says of itself in its first bytes: its kind and its size; nothing is decoded."""

from __future__ import annotations

import struct

# Frames of a JPEG that say its size (ITU T.81, table B.1): all SOFn, without the tables that share their numbers.
JPEG_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def kind_of(body: bytes) -> str | None:
    """The media type; None for all that is none of the four kinds, SVG among them: it can hold scripts."""
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    return None


def pixels_of(body: bytes) -> int | None:
    """Width times height as the picture states it; None where it states none."""
    try:
        width, height = _SIZES[kind_of(body) or ""](body)
    except (KeyError, struct.error, ValueError):
        return None
    return width * height or None


def _png(body: bytes) -> tuple[int, int]:
    if body[12:16] != b"IHDR":
        raise ValueError
    width, height = struct.unpack_from(">II", body, 16)
    return width, height


def _gif(body: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", body, 6)
    return width, height


def _webp(body: bytes) -> tuple[int, int]:
    kind = body[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[24:27], "little"), 1 + int.from_bytes(body[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", body, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError


def _jpeg(body: bytes) -> tuple[int, int]:
    """Step from segment to segment up to the frame; each says its own length, so that it ends."""
    at = 2
    while at + 4 <= len(body):
        if body[at] != 0xFF:
            raise ValueError
        marker = body[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", body, at + 5)
            return width, height
        elif 0xD0 <= marker <= 0xD8 or marker == 0x01:
            at += 2
        else:
            (length,) = struct.unpack_from(">H", body, at + 2)
            at += 2 + max(length, 2)
    raise ValueError


_SIZES = {"image/png": _png, "image/gif": _gif, "image/webp": _webp, "image/jpeg": _jpeg}
