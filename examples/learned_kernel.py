"""Worked example 7: gradient descent finds the kernel of example 2 from an image and its edges.

python examples/learned_kernel.py
"""

import numpy as np

from reference import conv2d, vjp

IMAGE = np.ones((1, 1, 6, 8))
IMAGE[..., 2:6] = 0
EDGES = conv2d(IMAGE, [[[[1, -1]]]])


def learn(kernel, bias, rate, steps):
    """Return the kernel and the bias after the last step, and the sum of squared errors before each."""
    losses = []
    for _ in range(steps):
        error = conv2d(IMAGE, kernel, bias) - EDGES
        losses.append((error**2).sum())
        gradients = vjp.conv2d(2 * error, IMAGE, kernel, bias)
        kernel = kernel - rate * gradients.weight
        if bias is not None:
            bias = bias - rate * gradients.bias
    return kernel, bias, losses


def main():
    """Learn as the two published runs did: without a bias, and more slowly with one."""
    start = np.random.default_rng(0).uniform(-1, 1, (1, 1, 1, 2))
    for bias, rate, steps in ((None, 0.03, 10), (np.zeros(1), 0.01, 20)):
        print("without a bias:" if bias is None else "with a bias:")
        kernel, bias, losses = learn(start, bias, rate, steps)
        for step in range(1, steps, 2):
            print(f"  step {step + 1:2}, loss {losses[step]:.3f}")
        print(f"  kernel {kernel.ravel().round(4)}" + ("" if bias is None else f", bias {bias.round(4)}"))


if __name__ == "__main__":
    main()
