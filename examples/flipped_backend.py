"""A mistake to look at: a convolution that flips its kernel, where conv2d is to cross-correlate."""

import numpy as np

from conformance.model import Backend
from reference import conv2d


def flipped(input, weight, **rest):
    """Convolve in the sense of signal processing."""
    return conv2d(input, np.flip(weight, (2, 3)), **rest).astype(input.dtype)


BACKEND = Backend("flipped", {"conv2d": flipped}, dtypes=("float32",))
