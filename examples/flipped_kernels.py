"""Worked example 3: what a layer learns does not depend on whether it convolves or cross-correlates.

The kernel learned under the one is the kernel learned under the other, turned by 180 degrees; outputs are the same.

python examples/flipped_kernels.py
"""

import numpy as np

import reference
from reference import vjp

IMAGE = np.random.default_rng(0).standard_normal((16, 16))
TARGET = reference.cross_correlate(IMAGE, np.arange(1, 10).reshape(3, 3), mode="valid")


def learn(operation, rate=0.0025, steps=100):
    """Return the kernel that gradient descent on the squared error finds under an operation, and the output."""
    forward, backward = getattr(reference, operation), getattr(vjp, operation)
    kernel = np.zeros((3, 3))  # which is itself turned
    for _ in range(steps):
        error = forward(IMAGE, kernel, mode="valid") - TARGET
        kernel = kernel - rate * backward(2 * error, IMAGE, kernel, mode="valid").kernel
    return kernel, forward(IMAGE, kernel, mode="valid")


def main():
    """Learn under both, and compare bit for bit."""
    with reference.exact():  # sums are rounded once, as a whole: the order of their terms leaves no trace
        correlated, output = learn("cross_correlate")
        convolved, same_output = learn("convolve")
    print(f"learned under cross-correlation:\n{correlated.round(6)}\n")
    print(f"learned under convolution:\n{convolved.round(6)}\n")
    print("each is the other turned, bit for bit:", np.array_equal(convolved, np.flip(correlated)))
    print("the outputs are equal, bit for bit:", np.array_equal(output, same_output))


if __name__ == "__main__":
    main()
