"""Worked example 2: a kernel of two numbers finds the vertical edges of an image, and is blind to horizontal ones.

python examples/edges.py
"""

import numpy as np

from reference import cross_correlate

IMAGE = np.ones((6, 8), int)
IMAGE[:, 2:6] = 0
KERNEL = [[1, -1]]  # an element less its right neighbour


def edges(image):
    """Return 1 where white turns to black from left to right, -1 where black turns to white."""
    return cross_correlate(image, KERNEL, mode="valid")


def main():
    """Show the image and its edges, upright and lying."""
    for name, image in (("the image", IMAGE), ("the image transposed", IMAGE.T)):
        print(f"{name}:\n{image}\nits vertical edges:\n{edges(image)}\n")


if __name__ == "__main__":
    main()
