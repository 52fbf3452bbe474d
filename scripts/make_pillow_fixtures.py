#!/usr/bin/env python3
"""Writes tests/data/fixtures: what Pillow makes of small images that the tests can draw, too.

    python3 -m venv pillow-venv && pillow-venv/bin/pip install pillow==12.3.0 numpy==2.4.6
    pillow-venv/bin/python scripts/make_pillow_fixtures.py

Pillow 13 resizes columns first if the height shrinks much more than the width. Earlier releases, with which the
published data sets were made, always start with the rows, and so do we.

The files are committed; run this only to add a case. Every image is drawn by pattern(), which tests/data/pattern.h
repeats in C++, so that inputs need not be stored.
"""

import pathlib

import numpy as np
import PIL
from PIL import Image

PILLOW = "12.3.0"
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "fixtures"
FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# Smaller, larger, one axis each way, and each axis alone.
TARGETS = [(17, 23), (60, 29), (45, 20), (30, 61)]


def pattern(width, height, channels):
    """Smooth slopes under hard edges: (height, width, channels) uint8, or (height, width) for one channel."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    image = ((5 * x + 3 * y + 40 * c + 37 * ((x * y + 31 * c) % 7)) % 256).astype(np.uint8)
    return image[:, :, 0] if channels == 1 else image


def save(name, image):
    array = np.asarray(image)
    np.save(FOLDER / f"{name}.npy", array[:, :, None] if array.ndim == 2 else array)


def crop_ddim(image, size):
    return image.crop((25, 57, 153, 185)).resize((size, size), Image.Resampling.BILINEAR)


def crop_score_sde(image, size):
    return image.crop((19, 39, 159, 179)).resize((size, size), Image.Resampling.BILINEAR)


def crop_edm(image, size):
    return image.crop((0, 20, 178, 198)).resize((size, size), Image.Resampling.LANCZOS)


def crop_adm(image, size):
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def main():
    assert PIL.__version__ == PILLOW, f"these fixtures need Pillow {PILLOW}, this is {PIL.__version__}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    color = Image.fromarray(pattern(45, 61, 3))
    grey = Image.fromarray(pattern(45, 61, 1))
    for name, resample in FILTERS.items():
        for width, height in TARGETS:
            save(f"resize_{name}_{width}x{height}x3", color.resize((width, height), resample))
        save(f"resize_{name}_17x23x1", grey.resize((17, 23), resample))
    photograph = Image.fromarray(pattern(178, 218, 3))
    for name, crop in {"ddim": crop_ddim, "score_sde": crop_score_sde, "edm": crop_edm, "adm": crop_adm}.items():
        for size in (32, 64):
            save(f"crop_{name}_{size}", crop(photograph, size))
    save("crop_adm_40_of_203x110", crop_adm(Image.fromarray(pattern(203, 110, 3)), 40))
    save("grey_of_color", color.convert("L"))
    # Decoders. Subsampled chroma and odd sides test the chroma interpolation.
    smooth = Image.fromarray(pattern(9, 7, 3)).resize((45, 35), Image.Resampling.BICUBIC)
    smooth.save(FOLDER / "color.jpg", quality=90)
    save("color_jpg", Image.open(FOLDER / "color.jpg").convert("RGB"))
    grey.crop((0, 0, 21, 19)).save(FOLDER / "grey.jpg", quality=90)
    save("grey_jpg", Image.open(FOLDER / "grey.jpg").convert("RGB"))
    tile = color.crop((0, 0, 19, 15))
    tile.quantize(16).save(FOLDER / "palette.png")
    save("palette_png", Image.open(FOLDER / "palette.png").convert("RGB"))
    transparent = tile.convert("RGBA")
    transparent.putalpha(grey.crop((0, 0, 19, 15)))
    transparent.save(FOLDER / "transparent.png")
    save("transparent_png", transparent.convert("RGB"))
    tile.convert("CMYK").save(FOLDER / "cmyk.jpg")
    print(f"{FOLDER}: {sum(f.stat().st_size for f in FOLDER.iterdir())} bytes in {len(list(FOLDER.iterdir()))} files")


if __name__ == "__main__":
    main()
