"""Drawn calls of padding: copies, and sums of whole numbers, so the bits must agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from agreements.call import Call
from torch.nn import functional as F


def draw_pad(rng: np.random.Generator) -> Call:
    mode = str(rng.choice(["constant", "reflect", "replicate", "circular"]))
    if mode == "constant":
        shape = rng.integers(0, 5, rng.integers(0, 5)).tolist()
        padded = int(rng.integers(0, len(shape) + 1))
    else:  # torch pads the last one to three axes behind one or two others
        padded = int(rng.integers(1, 4))
        shape = rng.integers(1, 5, padded + rng.integers(1, 3)).tolist()
    pad: list[int] = []
    for n in shape[: len(shape) - padded - 1 : -1] if padded else []:
        most = {"reflect": n - 1, "circular": n}.get(mode, 3)
        low = int(rng.integers(-n if mode == "constant" else 1 - n, most + 1))
        high = int(rng.integers(max(-n, -n - low + (mode != "constant")), most + 1))
        if mode == "circular" and low * high < 0:
            # Torch 2.13 repeats what cropping leaves, or fails, or reads memory that nobody wrote.
            high = -high if -high <= most else 0
        pad += [low, high] if n + low + high > 0 or mode == "constant" else [0, 0]
    attributes: dict[str, Any] = {"pad": tuple(pad)}
    if mode != "constant" or rng.random() < 0.5:
        attributes["mode"] = mode
    if mode == "constant" and rng.random() < 0.5:
        attributes["value"] = float(rng.integers(-3, 4))
    x = np.asarray(rng.integers(-9, 10, shape).astype(np.float64))
    return Call("pad", {"input": x}, attributes, lambda input: F.pad(input, **attributes))


DRAWS = {"pad": draw_pad}
