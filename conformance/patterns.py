"""Patterns of data that several operators share: which fills, at which magnitude, tell what.

Integers sized so that every partial sum is representable make any order of summation give the same bits; what differs
then is a structural mistake or a lost bit. Real data under a bound see what small integers cannot: lost precision.
"""

from __future__ import annotations

import math

from conformance.formats import format_of
from conformance.model import Geometry, Pattern

LARGE = 2.0**50  # whose products all formats hold, but float16


def limit_of(dtype: str) -> int:
    """Return up to where sums are sized: what the usual accumulator holds exactly and the output can store."""
    return min(2**53 if dtype == "float64" else 2**24, int(format_of(dtype).largest) // 2)


def exact_products(geometry: Geometry, dtype: str, factor: str = "input") -> tuple[Pattern, ...]:
    """Return the exact layer of an operator that sums products of one array, `factor`, and others.

    In order: readable ones; integers that survive every precision, half accumulation included (A); factors as large as
    the sums allow, which see half-precision inputs, partial sums and outputs (B); and one factor with more significant
    bits than TF32 or a half format keeps, against the least integers for the other (Cx, Cw).
    """
    terms, bits = geometry.terms, format_of(dtype).bits
    large = max(1, min(2 ** min(bits, 31) - 1, math.isqrt(2 * limit_of(dtype) // (terms + 1))))
    wide = max(2, min(bits - 7 if bits > 20 else bits, int(math.log2(limit_of(dtype) / (terms + 1)))))
    least: dict[str, tuple[str, float]] = {k: ("integers", 1) for k in (factor, "bias") if k in geometry.shapes}
    return (
        Pattern(("ramp", 1 if bits > 8 else 5)),
        Pattern(("integers", 2), {factor: ("integers", 3)}),
        Pattern(("integers", large)),
        Pattern(("integers", 1), {factor: ("odd", wide)}),
        Pattern(("odd", wide), least),
    )


def real_products(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return the real layer of an operator that sums products: zero-mean, one-signed and of wide exponents."""
    return (
        Pattern(("normal", 1)),
        Pattern(("positive", 1)),
        Pattern(("spread", 1)) if dtype != "float16" else Pattern(("normal", 0.25)),
    )


def special_products(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return the special layer of an operator that sums products of its input and its weight, on a batch.

    NaN and infinities, one of them or one less than there are samples, so that what they do not reach must stay finite;
    subnormals, times whole numbers; and values near 1e30, which nothing but a narrower format overflows from.
    """
    batch = (geometry.shapes["input"] or (1,))[0]
    guests = (("nans", 1), ("infinities", 1), ("nonfinite", max(1, batch - 1)))
    tiny: dict[str, tuple[str, float]] = {k: ("tiny", 100) for k in ("input", "bias") if k in geometry.shapes}
    patterns = [Pattern(("integers", 2), {"input": guest}) for guest in guests] + [Pattern(("integers", 2), tiny)]
    if geometry.shapes.get("bias") is not None:
        patterns.append(Pattern(("integers", 2), {"bias": ("nans", 1)}))
    if dtype != "float16":
        patterns.append(Pattern(("normal", LARGE)))
    if geometry.terms == 1:  # there is no partial sum that might overflow first: the result must be infinite
        patterns.append(Pattern(("integers", 2), {"input": ("huge", 1)}))
    return tuple(patterns)


def exact_copies(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return whole numbers for an operator that only copies."""
    return tuple(Pattern(fill) for fill in (("ramp", 1), ("integers", 3), ("integers", 100)))


def special_copies(geometry: Geometry, dtype: str) -> tuple[Pattern, ...]:
    """Return NaN, infinities, subnormals and the largest numbers for an operator that only copies."""
    return tuple(
        Pattern(fill) for fill in (("nans", 1), ("infinities", 2), ("nonfinite", 3), ("tiny", 100), ("huge", 1))
    )
