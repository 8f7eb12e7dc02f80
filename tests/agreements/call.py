"""One drawn call that PyTorch answers too, forward and backward, in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import reference

Bound = Callable[[str, np.ndarray], Any]


def exactly(_part: str, _expected: np.ndarray) -> Any:
    """Return the bound of calls whose every sum is representable."""
    return 0.0


@dataclass(frozen=True)
class Call:
    """A call of a reference and of the function of torch that it is to agree with.

    name: of the reference, and of its gradient in `reference.vjp`.
    arrays: the array arguments by name; float64 ones get a gradient, unless `constant` names them.
    attributes: the other arguments, of the reference; `peer` takes the arrays as tensors, by the same names.
    bound: the largest honest difference, from the part ("output", "gradient of weight") and torch's answer.
    cotangent_seed: of the cotangent, whole numbers from -9 to 9.
    """

    name: str
    arrays: dict[str, np.ndarray]
    attributes: dict[str, Any]
    peer: Callable[..., Any]
    bound: Bound = exactly
    constant: Sequence[str] = ()
    cotangent_seed: int = 0
    forward_only: dict[str, Any] = field(default_factory=dict)  # attributes that the gradient does not take

    def __str__(self) -> str:
        shapes = {name: f"{a.dtype.name}{list(a.shape)}" for name, a in self.arrays.items()}
        return f"{self.name}({shapes}, {self.attributes | self.forward_only})"

    def differences(self) -> Iterator[str]:
        """Yield one line for each part of the answer that differs by more than its bound."""
        import torch

        tensors = {name: torch.from_numpy(array.copy()) for name, array in self.arrays.items()}
        varied = [n for n, t in tensors.items() if t.is_floating_point() and n not in self.constant]
        for name in varied:
            tensors[name].requires_grad_()
        expected = _parts(self.peer(**tensors))
        actual = _parts(getattr(reference, self.name)(**self.arrays, **self.attributes, **self.forward_only))
        for i, (ours, theirs) in enumerate(zip(actual, expected, strict=True)):
            yield from self._compare("output" if i == 0 else f"output {i}", ours, theirs.detach().numpy())
        if not varied or not expected[0].requires_grad:
            return
        shape = tuple(expected[0].shape)
        cotangent = np.random.default_rng(self.cotangent_seed).integers(-9, 10, shape).astype(np.float64)
        theirs = torch.autograd.grad(
            expected[0], [tensors[n] for n in varied], torch.from_numpy(cotangent), allow_unused=True
        )
        ours = getattr(reference.vjp, self.name)(cotangent, **self.arrays, **self.attributes)
        for name, gradient in zip(varied, theirs, strict=True):
            mine = getattr(ours, name) if isinstance(ours, tuple) else ours
            if gradient is not None:
                yield from self._compare(f"gradient of {name}", mine, gradient.numpy())

    def _compare(self, part: str, ours: np.ndarray, theirs: np.ndarray) -> Iterator[str]:
        if ours.shape != theirs.shape:
            yield f"{self}: {part} has shape {ours.shape}, torch's {theirs.shape}"
            return
        with np.errstate(invalid="ignore"):
            difference = np.abs(ours - theirs)
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs)) | (difference <= self.bound(part, theirs))
        if not same.all():
            worst = tuple(int(i) for i in np.argwhere(~same)[0])
            yield f"{self}: {part}{list(worst)} is {ours[worst]!r}, torch's {theirs[worst]!r}"


def _parts(answer: Any) -> list[Any]:
    parts = answer if isinstance(answer, tuple) else (answer,)
    return [part for part in parts if part is not None]
