#!/usr/bin/env python3
"""Reads a run's event files with TensorBoard, prints every tag, and compares the values with metrics.jsonl.

    pip install -r scripts/requirements-tensorboard.txt
    scripts/read_tensorboard.py RUN

Exit code 1 if a value differs from metrics.jsonl by more than float32 rounding or an image cannot be opened.
"""

import argparse
import io
import json
import math
import pathlib
import sys

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


TAGS = {
    "loss": "loss/mean",
    "gradient_norm": "optimiser/gradient_norm",
    "learning_rate": "optimiser/learning_rate",
    "images_per_second": "speed/images_per_second",
}


def expected_scalars(run):
    """Tag -> {step: value} from metrics.jsonl."""
    scalars = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        metrics = json.loads(line)
        step = metrics.pop("step")
        for quarter, value in enumerate(metrics.pop("loss_by_quarter_of_t"), start=1):
            if value is not None:
                scalars.setdefault(f"loss/quarter_{quarter}_of_t", {})[step] = value
        for key, value in metrics.items():
            scalars.setdefault(TAGS[key], {})[step] = value
    return scalars


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    run = parser.parse_args().run
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    events.Reload()

    tags, wrong = events.Tags(), 0
    for tag, values in expected_scalars(run).items():
        found = {event.step: event.value for event in events.Scalars(tag)} if tag in tags["scalars"] else {}
        same = found.keys() == values.keys() and all(math.isclose(found[s], values[s], rel_tol=2**-23) for s in values)
        wrong += not same
        print(f"scalar {tag:28} {len(found):6} points  {'as in metrics.jsonl' if same else 'NOT as in metrics.jsonl'}")
    for tag in tags["images"]:
        images = events.Images(tag)
        sizes = {Image.open(io.BytesIO(image.encoded_image_string)).size for image in images}
        print(f"image  {tag:28} {len(images):6} at steps {[image.step for image in images]}, pixels {sorted(sizes)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
