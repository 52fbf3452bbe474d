#!/usr/bin/env python3
"""Writes the seed inputs of fuzz/corpus: small files, well-formed or nearly so. Needs NumPy and Pillow."""

import gzip
import io
import json
import pathlib
import struct

import numpy as np
from PIL import Image

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "fuzz" / "corpus"


def write(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def safetensors(header, data=b""):
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(text)) + text + data


def make_npy():
    pixels = npy(np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3))
    write("npy", "pixels", pixels)
    write("npy", "fortran", npy(np.asfortranarray(np.ones((3, 2), np.uint8))))
    write("npy", "scalar", npy(np.uint8(7)))
    write("npy", "version-2", pixels[:6] + b"\x02\x00" + pixels[8:10] + b"\0\0" + pixels[10:])
    write("npy", "overflow", pixels.replace(b"(2, 2, 2, 3)", b"(99999999999999999, 999)"))


def make_safetensors():
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    write("safetensors", "one", safetensors({"__metadata__": {"format": "pt"}, "a": entry}, b"\0\0\x80?\0\0\0@"))
    kinds = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
             "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8}
    header, at = {}, 0
    for kind, size in kinds.items():
        header[kind] = {"dtype": kind, "shape": [1, 2], "data_offsets": [at, at + 2 * size]}
        at += 2 * size
    write("safetensors", "every-type", safetensors(header, bytes(range(at))))
    write("safetensors", "overlap", safetensors({"a": entry, "b": entry}, bytes(8)))
    write("safetensors", "twice", safetensors('{"a":%s,"a":%s}' % (json.dumps(entry), json.dumps(entry)), bytes(8)))
    write("safetensors", "empty-tensor", safetensors({"a": dict(entry, shape=[0], data_offsets=[0, 0])}))
    write("safetensors", "huge-length", b"\xff" * 8 + b"{}")


def make_mnist():
    images = struct.pack(">IIII", 0x803, 2, 3, 3) + bytes(range(18))
    labels = struct.pack(">II", 0x801, 2) + b"\x03\x07"
    for name, pack in {"plain": lambda x: x, "gzip": lambda x: gzip.compress(x, mtime=0)}.items():
        write("mnist", name, struct.pack("<H", len(pack(images))) + pack(images) + pack(labels))
    huge = struct.pack(">IIII", 0x803, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    write("mnist", "overflow", struct.pack("<H", len(huge)) + huge + labels)


def make_cifar10():
    write("cifar10", "one", b"\x05" + bytes(3072))
    write("cifar10", "two", b"\x00" + bytes(3072) + b"\x09" + b"\xff" * 3072)
    write("cifar10", "label-10", b"\x0a" + bytes(3072))


def make_celeba():
    write("celeba_partition", "lf", "000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n")
    write("celeba_partition", "crlf", "000001.jpg 0\r\n000002.jpg 2\r\n")
    write("celeba_partition", "bad-part", "000001.jpg 3\n")
    write("celeba_attributes", "lf", "2\nBald Smiling\n000001.jpg -1  1\n000002.jpg  1 -1\n")
    write("celeba_attributes", "crlf", "1\r\nBald Smiling Young\r\n000001.jpg -1  1 0\r\n")
    write("celeba_attributes", "too-few", "3\nBald\n000001.jpg 1\n")


def make_images():
    rgb = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    forms = {"rgb.png": (rgb, "PNG", {}), "grey.png": (rgb.convert("L"), "PNG", {}),
             "palette.png": (rgb.quantize(4), "PNG", {}), "alpha.png": (rgb.convert("RGBA"), "PNG", {}),
             "sixteen.png": (Image.fromarray(np.arange(16, dtype=np.uint16).reshape(4, 4)), "PNG", {}),
             "rgb.jpg": (rgb, "JPEG", {}), "progressive.jpg": (rgb, "JPEG", {"progressive": True}),
             "grey.jpg": (rgb.convert("L"), "JPEG", {}), "cmyk.jpg": (rgb.convert("CMYK"), "JPEG", {})}
    for name, (image, kind, options) in forms.items():
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        write("image", name, stream.getvalue())


def make_json_and_toml():
    card = {"source": "celeba", "split": "train", "crop": "ddim", "filter": "bilinear", "count": 2, "height": 4,
            "width": 4, "channels": 3, "hash": "xxh64:0", "labels": {"kind": "classes", "names": ["a", "b"]}}
    write("dataset_card", "card", json.dumps(card))
    write("dataset_card", "negative", json.dumps(dict(card, count=-1, height=2**40)))
    config = {"preset": "tiny-32", "steps": "10", "attention": "false,true", "beta_end": "0.02"}
    state = {"format_version": 1, "step": 3, "dataset_hash": "xxh64:0", "dataset_count": 5, "config": config}
    write("checkpoint_state", "state", json.dumps(state))
    write("checkpoint_state", "unknown-option", json.dumps(dict(state, config={"magic": "1"})))
    write("settings", "run", '[run]\npreset = "tiny-32"\nsteps = 10\nseed = 3\n')
    write("settings", "network", "[network]\nblock_out_channels = [32, 64]\nattention = [false, true]\n")
    write("settings", "diffusion", '[diffusion]\ntimesteps = 100\nbeta_schedule = "squaredcos_cap_v2"\n')
    write("settings", "optimiser", "[optimiser]\nlearning_rate = 1e-4\nema_ramp = true\n[output]\nsample_steps = 5\n")


if __name__ == "__main__":
    for make in (make_npy, make_safetensors, make_mnist, make_cifar10, make_celeba, make_images, make_json_and_toml):
        make()
    print(f"{sum(p.is_file() for p in CORPUS.rglob('*'))} files in {CORPUS}")
