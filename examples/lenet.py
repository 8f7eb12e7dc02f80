"""LeNet in NumPy, from `reference` alone, trained beside the same network in torch: two loss curves that are one.

    pip install '.[examples,torch]'
    python examples/lenet.py --plot lenet.png

The handwritten digits come with scikit-learn. For Fashion-MNIST, `--idx FOLDER` names the folder of its four files.
Without torch the reference trains alone.
"""

import gzip
import importlib.util
import math
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rich.progress import track

import reference
from reference import vjp

# Worked example 21. For each layer: a function, named alike in `reference`, in `vjp` and in torch; the shape of its
# weight, if it has one, and with it a bias for each output; its other arguments.
LAYERS = (
    ("conv2d", (6, 1, 5, 5), {"padding": 2}),  # 6 channels of 28 x 28
    ("sigmoid", None, {}),
    ("avg_pool2d", None, {"kernel_size": 2}),  # 14 x 14
    ("conv2d", (16, 6, 5, 5), {}),  # 16 channels of 10 x 10
    ("sigmoid", None, {}),
    ("avg_pool2d", None, {"kernel_size": 2}),  # 5 x 5
    ("flatten", None, {"start_dim": 1}),
    ("linear", (120, 400), {}),
    ("sigmoid", None, {}),
    ("linear", (84, 120), {}),
    ("sigmoid", None, {}),
    ("linear", (10, 84), {}),
)


def initial_parameters(rng):
    """Return weight and bias, or nothing, for each layer.

    Weights are drawn as Glorot and Bengio have it for tanh, times 4, since the logistic function is that much flatter.
    """
    parameters = []
    for _, shape, _ in LAYERS:
        if shape:
            bound = 4 * math.sqrt(6 / ((shape[0] + shape[1]) * math.prod(shape[2:])))
            parameters.append((rng.uniform(-bound, bound, shape), np.zeros(shape[0])))
        else:
            parameters.append(())
    return parameters


def forward(parameters, images):
    """Return what enters each layer and, last, what leaves the network: for each image a score for each class."""
    values = [images]
    for (name, _, rest), own in zip(LAYERS, parameters, strict=True):
        values.append(getattr(reference, name)(values[-1], *own, **rest))
    return values


def in_reference(parameters, rate):
    """Return a function that takes one step of gradient descent, in place, and returns the loss before it."""

    def step(images, labels):
        *entering, scores = forward(parameters, images)
        cotangent = vjp.cross_entropy(1.0, scores, labels).input
        for (name, _, rest), own, x in reversed(list(zip(LAYERS, parameters, entering, strict=True))):
            gradients = getattr(vjp, name)(cotangent, x, *own, **rest)
            cotangent, *by_own = gradients if own else [gradients]
            for parameter, gradient in zip(own, by_own, strict=True):
                parameter -= rate * gradient
        return reference.cross_entropy(scores, labels).item()

    return step


def in_torch(parameters, rate):
    """Return such a function in torch, for a copy of the parameters."""
    import torch
    import torch.nn.functional as F

    copies = [[torch.tensor(parameter, requires_grad=True) for parameter in own] for own in parameters]
    descent = torch.optim.SGD([copy for own in copies for copy in own], lr=rate)

    def step(images, labels):
        x = torch.tensor(images)
        for (name, _, rest), own in zip(LAYERS, copies, strict=True):
            x = getattr(torch if name == "flatten" else F, name)(x, *own, **rest)
        loss = F.cross_entropy(x, torch.tensor(labels))
        descent.zero_grad()
        loss.backward()
        descent.step()
        return loss.item()

    return step


@dataclass
class Data:
    """Images (N, 1, 28, 28) of float64 numbers from 0 to 1, and for each its class, 0 to 9."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, chosen):
        return Data(self.images[chosen], self.labels[chosen])


def digits(rng):
    """Return the digits of scikit-learn in random order: 1,437 to train on, 360 held out."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    # From 8 x 8 to 28 x 28, linear between neighbours: the columns of the matrix are what unit vectors become.
    wider = np.stack([np.interp(np.linspace(0, 7, 28), np.arange(8), unit) for unit in np.eye(8)], axis=1)
    data = Data(wider @ (images.reshape(-1, 1, 8, 8) / 16) @ wider.T, labels)
    held_out, training = np.split(rng.permutation(len(data)), [360])
    return data[training], data[held_out]


def idx_data(folder, part):
    """Return one part, "train" or "t10k", of a folder of IDX files, or refuse files that do not fit together."""
    path, labels_path = (find(folder, f"{part}-{what}-ubyte") for what in ("images-idx3", "labels-idx1"))
    images, labels = read_idx(path, 3), read_idx(labels_path, 1)
    if images.shape[1:] != (28, 28):
        raise ValueError(f"{path}: images must be 28 x 28, not {images.shape[1]} x {images.shape[2]}")
    if len(labels) != len(images):
        raise ValueError(f"{labels_path}: has {len(labels):,} labels for {len(images):,} images")
    if labels.max() > 9:
        raise ValueError(f"{labels_path}: labels must be 0 to 9, not {labels.max()}")
    return Data(images[:, np.newaxis] / 255, labels.astype(np.int64))


def find(folder, name):
    """Return the path of a file, gzipped or not."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise ValueError(f"{folder}: has neither {name} nor {name}.gz")


def read_idx(path, axes):
    """Return the unsigned bytes in an IDX file, or refuse a file that is not one.

    Format: 0, 0, 8 for unsigned bytes, the number of axes; the length of each in four bytes, big-endian; the elements.
    """
    zipped = path.suffix == ".gz"
    magic = bytes([0, 0, 8, axes])
    try:
        with (gzip.open if zipped else open)(path, "rb") as file:
            header = file.read(4 + 4 * axes)
            if header[:4] != magic:
                raise ValueError(f"{path}: must begin with the bytes {magic.hex(' ')}, not {header[:4].hex(' ')!r}")
            if len(header) < 4 + 4 * axes:
                raise ValueError(f"{path}: ends before the lengths of its {axes} axes do")
            shape = struct.unpack(f">{axes}I", header[4:])
            size = math.prod(shape)
            # Asked before memory is: a zipped file needs two bits or more for a run of 258 bytes.
            if not 0 < size <= path.stat().st_size * (258 * 8 // 2 if zipped else 1):
                raise ValueError(f"{path}: cannot hold the {size:,} elements of its shape {shape}")
            elements = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    if len(elements) != size:
        held = "more" if len(elements) > size else f"{len(elements):,}"
        raise ValueError(f"{path}: must hold the {size:,} elements of its shape {shape}, but holds {held}")
    return np.frombuffer(elements, np.uint8).reshape(shape)


def train(networks, data, rng, steps, batch):
    """Show each network the same batches; return its losses, and the seconds that it took a step."""
    curves = {name: np.empty(steps) for name in networks}
    seconds = dict.fromkeys(networks, 0.0)
    for i in track(range(steps), "training"):
        chosen = data[rng.choice(len(data), batch, replace=False)]
        for name, step in networks.items():
            start = time.perf_counter()
            curves[name][i] = step(chosen.images, chosen.labels)
            seconds[name] += (time.perf_counter() - start) / steps
    return curves, seconds


def accuracy(parameters, data):
    """Return the share of images whose own class gets the highest score."""
    parts = [data[i : i + 256] for i in range(0, len(data), 256)]  # not all at once, for the sake of memory
    return sum((forward(parameters, part.images)[-1].argmax(1) == part.labels).sum() for part in parts) / len(data)


def differences(curves):
    """Return, for each step, the relative difference of the two losses."""
    return np.abs(curves["reference"] - curves["torch"]) / curves["torch"]


def draw(curves, file):
    """Write a PNG file of the loss curves and, if there are two, of the difference between them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots(len(curves), sharex=True, squeeze=False)[:, 0]
    axes[0].plot(curves["reference"], linewidth=5, alpha=0.4, label="reference")
    if "torch" in curves:
        axes[0].plot(curves["torch"], color="black", linewidth=1, label="torch")
        axes[1].semilogy(differences(curves), ".")
        axes[1].set_ylabel("relative difference")
    axes[0].set_ylabel("loss")
    axes[0].legend()
    axes[-1].set_xlabel("step")
    figure.savefig(file, format="png")


def installed(module):
    """Return whether a module can be imported."""
    return importlib.util.find_spec(module) is not None


@click.command()
@click.option("--steps", type=click.IntRange(1), default=600, show_default=True, help="Batches to learn from.")
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Images in a batch.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=0.3, show_default=True, help="Learning rate.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is random.")
@click.option("--idx", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of IDX files.")
@click.option("--plot", type=click.File("wb", lazy=False), help="PNG file to draw the loss curves in.")
@click.option("--torch/--no-torch", "beside_torch", default=True, help="Train the same network in torch as well.")
def main(steps, batch, rate, seed, idx, plot, beside_torch):
    """Train LeNet on scikit-learn's digits or on a folder of IDX files, and see how well it does."""
    for module, needed in (("sklearn", not idx), ("matplotlib", plot)):
        if needed and not installed(module):
            raise click.ClickException(f"{module} is not installed: pip install '.[examples]'")
    rng = np.random.default_rng(seed)
    try:
        training, held_out = (idx_data(idx, "train"), idx_data(idx, "t10k")) if idx else digits(rng)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if batch > len(training):
        raise click.BadParameter(f"there are {len(training):,} images to train on", param_hint="--batch")

    parameters = initial_parameters(rng)
    networks = {"reference": in_reference(parameters, rate)}
    if beside_torch and installed("torch"):
        networks["torch"] = in_torch(parameters, rate)
    elif beside_torch:
        print("torch is not installed: the reference trains alone")
    print(f"{len(training):,} images to train on: {steps} steps of {batch} at rate {rate:g}, seed {seed}")
    curves, seconds = train(networks, training, rng, steps, batch)

    for name, losses in curves.items():
        print(f"{name}: loss from {losses[0]:.4f} to {losses[-1]:.4f}, {seconds[name] * 1e3:.1f} ms a step")
    if "torch" in curves:
        apart = differences(curves)
        print(f"worst relative difference of the losses: {apart.max():.1e} (first 200: {apart[:200].max():.1e})")
    print(f"accuracy on {len(held_out):,} images held out: {accuracy(parameters, held_out):.3f}")
    if plot:
        draw(curves, plot)
        print(f"loss curves: {plot.name}")


if __name__ == "__main__":
    main()
