"""Small picture files of every kind that the decoder reads, with what Pillow makes of them.

    python make_pictures.py pictures

Needs Pillow and numpy (made with Pillow 13.0). `index.json` lists of each file the size, whether equality is exact, and where in
`expected.bin` its pixels begin: RGB bytes of `Image.open(file).convert("RGB")`, or of `ImageOps.exif_transpose` of it before
the conversion where `oriented` is true.
"""

import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

folder = Path(sys.argv[1])
folder.mkdir(exist_ok=True)
random = np.random.default_rng(20261128)
WIDTH, HEIGHT = 21, 14


def smooth(channels, width=WIDTH, height=HEIGHT):
    """Slopes with a little noise: JPEG keeps it nearly."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * (7 + c) + y * (11 - c) + 40 * c + random.integers(0, 9, (height, width))) % 256 for c in range(channels)]
    return np.stack(planes, -1).astype(np.uint8)


RGB = Image.fromarray(smooth(3))
GREY = Image.fromarray(smooth(1)[..., 0])
files, expected = [], bytearray()


def keep(name, data, exact=True, oriented=False):
    (folder / name).write_bytes(data)
    image = Image.open(io.BytesIO(data))
    if oriented:
        image = ImageOps.exif_transpose(image)
    image = image.convert("RGB")
    entry = {"file": name, "width": image.width, "height": image.height, "exact": exact, "oriented": oriented}
    files.append({**entry, "at": len(expected)})
    expected.extend(image.tobytes())


def saved(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block.tobytes()


def png(width, height, bits, colour, rows, extra=b""):
    """A PNG by hand, for what Pillow does not write."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


ASYMMETRIC = Image.fromarray(smooth(3, 11, 6))
for turn in range(1, 9):
    keep(f"orientation_{turn}.jpg", saved(ASYMMETRIC, "JPEG", quality=95, subsampling=0, exif=exif(turn)), False, True)
for turn in (3, 6, 7):
    keep(f"orientation_{turn}.png", saved(ASYMMETRIC, "PNG", exif=exif(turn)), oriented=True)
    keep(f"orientation_{turn}.webp", saved(ASYMMETRIC, "WEBP", lossless=True, exif=exif(turn)), oriented=True)
# Pillow turns a TIFF while it loads it, asked or not.
for turn in (6, 8):
    keep(f"orientation_{turn}.tif", saved(ASYMMETRIC, "TIFF", tiffinfo={0x0112: turn}))
keep("orientation_6_not_asked.jpg", saved(ASYMMETRIC, "JPEG", quality=95, subsampling=0, exif=exif(6)), False)

keep("rgb.png", saved(RGB, "PNG"))
keep("rgba.png", saved(Image.fromarray(smooth(4)), "PNG"))
keep("grey.png", saved(GREY, "PNG"))
keep("grey_alpha.png", saved(Image.fromarray(smooth(2), "LA"), "PNG"))
palette = RGB.quantize(16)
keep("palette.png", saved(palette, "PNG"))
keep("palette_transparent.png", saved(palette, "PNG", transparency=bytes(range(0, 256, 16))))
keep("rgb_transparent_colour.png", saved(RGB, "PNG", transparency=RGB.getpixel((3, 2))))
keep("one_bit.png", saved(GREY.convert("1"), "PNG"))
for bits in (2, 4):
    size = (WIDTH * bits + 7) // 8
    keep(f"grey_{bits}_bits.png", png(WIDTH, 5, bits, 0, [random.bytes(size) for _ in range(5)]))
keep("interlaced.png", saved(RGB, "PNG", interlace=1))
keep("grey_16.png", png(5, 2, 16, 0, [np.array([0, 1, 255, 256, 65535], ">u2").tobytes(), random.bytes(10)]))
keep("grey_alpha_16.png", png(5, 2, 16, 4, [random.bytes(20), random.bytes(20)]))
keep("rgb_16.png", png(5, 2, 16, 2, [random.bytes(30), random.bytes(30)]))
keep("rgba_16.png", png(5, 2, 16, 6, [random.bytes(40), random.bytes(40)]))

keep("rgb.jpg", saved(RGB, "JPEG", quality=92), False)
keep("full_chroma.jpg", saved(RGB, "JPEG", quality=92, subsampling=0), False)
keep("half_chroma.jpg", saved(RGB, "JPEG", quality=92, subsampling=1), False)
keep("progressive.jpg", saved(RGB, "JPEG", quality=92, progressive=True, subsampling=0), False)
keep("grey.jpg", saved(GREY, "JPEG", quality=92), False)
keep("restarts.jpg", saved(RGB, "JPEG", quality=92, subsampling=0, restart_marker_blocks=2), False)
cmyk = Image.fromarray(smooth(4), "CMYK")
keep("cmyk.jpg", saved(cmyk, "JPEG", quality=95), False)


def with_adobe(data, transform):
    """The file with this transform in its Adobe marker; without one it gets one."""
    body = b"Adobe\0\x64\0\0\0\0" + bytes([transform])
    at = data.find(b"Adobe")
    if at >= 0:
        return data[: at + 11] + bytes([transform]) + data[at + 12 :]
    return data[:2] + b"\xff\xee\0\x0e" + body + data[2:]


# The same planes, said to be YCCK: what a reader makes of them is the question, not the picture.
keep("ycck.jpg", with_adobe(saved(cmyk, "JPEG", quality=95), 2), False)
keep("rgb_planes.jpg", saved(RGB, "JPEG", quality=95, keep_rgb=True), False)

keep("lossless.webp", saved(RGB, "WEBP", lossless=True))
keep("lossless_alpha.webp", saved(Image.fromarray(smooth(4)), "WEBP", lossless=True, exact=True))
keep("lossy.webp", saved(RGB, "WEBP", quality=80))
keep("lossy_alpha.webp", saved(Image.fromarray(smooth(4)), "WEBP", quality=80))
frames = [Image.fromarray(smooth(3)) for _ in range(3)]
keep("animated.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))

keep("animated.gif", saved(frames[0].quantize(32), "GIF", save_all=True, append_images=frames[1:]))
keep("transparent.gif", saved(palette, "GIF", transparency=3))
keep("interlaced.gif", saved(palette, "GIF", interlace=1))

for mode in ("RGB", "L", "1", "P"):
    image = palette if mode == "P" else RGB.convert(mode)
    keep(f"{mode.lower()}.bmp", saved(image, "BMP"))
    if mode != "P":
        keep(f"{mode.lower()}.tif", saved(image, "TIFF"))
keep("rgba.bmp", saved(Image.fromarray(smooth(4)), "BMP"))
keep("rgba.tif", saved(Image.fromarray(smooth(4)), "TIFF"))
keep("la.tif", saved(Image.fromarray(smooth(2), "LA"), "TIFF"))
keep("cmyk.tif", saved(cmyk, "TIFF"))
keep("grey_16.tif", saved(Image.fromarray(random.integers(0, 400, (4, 9)).astype(np.uint16)), "TIFF"))
for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
    keep(f"{name}.tif", saved(RGB, "TIFF", compression=name))
keep("pages.tif", saved(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
keep("rgb.ppm", saved(RGB, "PPM"))

(folder / "expected.bin").write_bytes(bytes(expected))
lines = ",\n".join("  " + json.dumps(f) for f in files)
(folder / "index.json").write_text(f'{{"pillow": "{Image.__version__}", "files": [\n{lines}\n]}}\n')
