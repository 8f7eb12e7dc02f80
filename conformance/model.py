"""The nouns of the suite: what is asked, of whom, and what was seen. Frozen data, no behaviour of its own.

An Operator draws Geometries; a Geometry with Fills is a Case; a Backend answers it; the judge returns a Verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from conformance.fills import Fill, Shape
from conformance.formats import DTYPES, Array, Format, format_of

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Inputs = Mapping[str, Fill]
Attributes = Mapping[str, Any]
Arrays = Mapping[str, Array]
Breakages = list[tuple[str, dict[str, Any]]]


class Outcome(StrEnum):
    """What became of a case, or of a whole cell before any case was drawn."""

    CONFORMS = "conforms"
    UNAVAILABLE = "unavailable"  # the backend cannot run here; decided before anything is drawn
    UNBOUND = "unbound"  # the backend has no such operator; likewise
    UNSUPPORTED = "unsupported"  # the backend declares, with a source, that it does not take such a case
    DEVIATES = "deviates"  # it differs, as declared
    VACUOUS = "vacuous"  # nothing was compared, or nothing could have differed
    STALE = "stale"  # a declaration is no longer true
    DIFFERS = "differs"
    ERRORED = "errored"  # it raised on a legal case
    CRASHED = "crashed"  # its process ended in the case
    TIMED_OUT = "timed out"  # its process had to be ended


FAILURES = frozenset({Outcome.STALE, Outcome.DIFFERS, Outcome.ERRORED, Outcome.CRASHED, Outcome.TIMED_OUT})
DEATHS = frozenset({Outcome.CRASHED, Outcome.TIMED_OUT})


@dataclass(frozen=True)
class Case:
    """One call: an operator, recipes for its arrays, and attributes. Its repr is one line that replays.

    manner: how the call is put to the backend. Empty: simply. "vjp": its gradients are asked for, and the first array
    is the cotangent. Else the name of a law, or of a way to look for impurity: several calls, whose answers must agree.
    """

    operator: str
    inputs: Inputs
    attributes: Attributes
    manner: str = ""

    def __repr__(self) -> str:
        words = [f"{name}={_word(value)}" for part in (self.inputs, self.attributes) for name, value in part.items()]
        return f"{self.function}({', '.join(words)})"

    @property
    def pulled(self) -> bool:
        """Whether gradients are asked for, be it simply or in a manner of purity."""
        return "cotangent" in self.inputs

    @cached_property
    def function(self) -> str:
        """What is asked, as it leads the line: `conv2d`, or `vjp.conv2d` for its gradients."""
        return f"{self.manner}.{self.operator}" if self.manner else self.operator

    @cached_property
    def dtype(self) -> str:
        """The dtype of the first array, which is that of all but whole numbers such as indices."""
        return next(fill.dtype for fill in self.inputs.values())


def _word(value: object) -> str:
    """Spell a value so that the line can stand between single quotes in a shell."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"({', '.join(map(_word, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


@dataclass(frozen=True)
class Geometry:
    """A case without its data: shapes by input name (None: left out), attributes, and how many products meet.

    terms: the largest number of products or elements that are summed into one output, to size integer data by.
    """

    shapes: Mapping[str, Shape | None]
    attributes: Attributes
    terms: int = 1

    def changed(self, **changes: Any) -> Geometry:
        """Return the geometry with other shapes or attributes, each known by its name."""
        shapes = {k: changes.pop(k, v) for k, v in self.shapes.items()}
        return Geometry(shapes, {**self.attributes, **changes}, self.terms)


@dataclass(frozen=True)
class Pattern:
    """One way to fill the arrays of an operator: (kind, scale) by input name; those not named are as `rest`.

    attributes: what the data need, such as the eps that makes a square root exact.
    """

    rest: tuple[str, float]
    kinds: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class Bound:
    """How far each element of an output may honestly be from its reference.

    absolute: elementwise; 0 demands equality, infinity waives the element. squares: the most that the sum of squared
    errors of the elements with a finite bound may be, or None. zero_sign: where the sign of a zero is promised. waived:
    what is not compared whatever is expected; an infinite bound waives numbers, and not NaN or an infinity where these
    are expected.
    """

    absolute: Array
    squares: float | None = None
    zero_sign: Array | bool = False
    waived: Array | bool = False


@dataclass(frozen=True)
class Arithmetic:
    """What a backend promises of its arithmetic in one dtype, and so what its bounds are derived from.

    accumulator, output: the formats that sums are kept in and results are stored in. input_bits: significant bits of an
    operand that are read (None: all; TF32: 11). truncating: sums are aligned and truncated as on tensor cores.
    partials: how many times a partial sum, or a statistic, is rounded to the output format on its way. flushes:
    subnormals become 0. algorithm: of a convolution that does not add up its products, one of `fast.ALGORITHMS`; its
    gradients do all the same. variance: "two-pass", "updating" (Welford, Chan) or "textbook" (mean of squares less
    square of mean).
    """

    accumulator: Format
    output: Format
    input_bits: int | None = None
    truncating: bool = False
    partials: int = 0
    flushes: bool = False
    variance: str = "two-pass"
    algorithm: str = ""

    @classmethod
    def of(cls, dtype: str, **changes: Any) -> Arithmetic:
        """Return the usual arithmetic of a dtype: half formats accumulate in float32, the others in themselves."""
        accumulator = "float32" if dtype in ("float16", "bfloat16") else dtype
        return cls(format_of(accumulator), format_of(dtype), **changes)


def usual_arithmetic(case: Case) -> Arithmetic:
    """Return the usual arithmetic of the case's dtype."""
    return Arithmetic.of(case.dtype)


@dataclass(frozen=True)
class Gradient:
    """The gradients of an operator and how to search them.

    reference: the function of `reference.vjp`. patterns: data for both layers; the shapes of the geometry begin with
    that of the cotangent. bounds: as those of an operator, for inputs that begin with the cotangent, by gradient.
    """

    reference: Callable[..., Any]
    patterns: Callable[[Geometry, str], Sequence[Pattern]]
    bounds: Callable[[Arrays, Attributes, Arrays, Arithmetic], Mapping[str, Bound]]


@dataclass(frozen=True)
class Operator:
    """The mathematics of an operator and how to search it; it knows no backend and no tolerance.

    reference: keyword arguments in, an array or a named tuple out. geometries: a strategy of legal calls for a purpose
    ("values", "sizes" or "special"). exact, real, special: patterns for each layer of data, given the geometry and the
    dtype. bounds: (inputs, attributes, outputs, arithmetic) -> a Bound for each output. window: what fed one output
    element. rejections: for each constraint's label, changes to a legal geometry that break it: other shapes or
    attributes, or (kind, scale) for what fills an array; None where nothing is illegal. accepted: changes to a legal
    geometry that look illegal and are not, each with what it shows. gradient:
    None where there is none. per_sample: the inputs whose first axis is a batch of which every sample is answered by
    itself. layers: calls of real networks, with axes that are so many times shorter than there. conventions: argument
    of the reference -> field of the dialect.
    """

    name: str
    reference: Callable[..., Any]
    geometries: Callable[[str], SearchStrategy[Geometry]]
    exact: Callable[[Geometry, str], Sequence[Pattern]]
    real: Callable[[Geometry, str], Sequence[Pattern]]
    special: Callable[[Geometry, str], Sequence[Pattern]]
    bounds: Callable[[Arrays, Attributes, Arrays, Arithmetic], Mapping[str, Bound]]
    window: Callable[[Arrays, Attributes, tuple[int, ...]], Arrays]
    rejections: Callable[[Geometry], Breakages] | None
    accepted: Callable[[Geometry], Breakages] = lambda geometry: []
    gradient: Gradient | None = None
    per_sample: Callable[[Attributes], tuple[str, ...]] = lambda attributes: ()
    layers: Callable[[int], Sequence[Geometry]] = lambda shorter: ()
    conventions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Declaration:
    """What a backend is known to do otherwise, narrowly, and a witness that must keep on showing it.

    outcome: DEVIATES (it answers, otherwise), UNSUPPORTED, CRASHED or TIMED_OUT (it is not asked). applies: a predicate
    on the case. witness: one line; when a run meets the declaration's operator it is replayed, and the declaration is
    STALE if it conforms, or does not end the backend's process as declared; a death is probed once, under the first of
    the checks. here: whether the declaration concerns this machine (processor, threads, library build).
    """

    outcome: Outcome
    operators: tuple[str, ...]
    applies: Callable[[Case], bool]
    reason: str
    link: str
    date: str
    witness: str
    checks: tuple[str, ...] = ("values", "special", "gradients", "layouts", "purity", "laws")
    here: Callable[[], bool] = lambda: True

    def covers(self, check: str, case: Case) -> bool:
        """Whether the declaration speaks of this case under this check."""
        return case.operator in self.operators and check in self.checks and self.here() and self.applies(case)


@dataclass(frozen=True)
class Backend:
    """A name and a dict of functions.

    bindings: operator name -> a function of native tensors and attributes, all by our names, that returns a native
    tensor or a tuple of them; or a function without arguments that returns the dict, so that a framework is imported
    only when it is used. `vjp.conv2d` names a function that answers with the gradients of conv2d, in the order of the
    arrays, given the cotangent too. vjp: gives the gradients of what has no such binding, from (function of tensors by
    name, tensors, cotangent); None where the backend has no gradients. layouts: by name, functions that lay a tensor
    out otherwise in memory and leave its values; what is called "broadcast" gets arrays that are the same along their
    first axis. threads: sets how many threads the engine may use, and returns how many it could. device: where a tensor
    is. clear: sets a tensor's memory to 0, so that an answer that shares it is seen where `from_numpy` copies.
    from_numpy, to_numpy: the border; to_numpy keeps the dtype (bfloat16 as ml_dtypes').
    arithmetic: what is promised for a case. dialect: a name in reference.dialects. unavailable: None, or why the
    backend cannot run here. about: versions and device, for the head of a report. address: what leads to the backend on
    a command line, where that is not its name. script: (case, its arrays as source of nested lists, the names of those
    whose gradients are asked for) -> Python source that makes the call as users of the engine write it, for `repro`; it
    leaves `answers`, a list of (name of the dtype, array) of NumPy. None: the call is made by this record.
    """

    name: str
    bindings: Mapping[str, Callable[..., Any]] | Callable[[], Mapping[str, Callable[..., Any]]]
    from_numpy: Callable[[Array], Any] = lambda array: array
    to_numpy: Callable[[Any], Any] = lambda tensor: tensor
    dtypes: tuple[str, ...] = DTYPES
    arithmetic: Callable[[Case], Arithmetic] = usual_arithmetic
    dialect: str = "pytorch"
    unavailable: Callable[[], str | None] = lambda: None
    declarations: tuple[Declaration, ...] = ()
    about: Callable[[], str] = lambda: ""
    address: str = ""
    vjp: Callable[[Callable[..., Any], Mapping[str, Any], Any], Mapping[str, Any]] | None = None
    layouts: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    threads: Callable[[int], int] | None = None
    device: Callable[[Any], object] | None = None
    clear: Callable[[Any], object] | None = None
    script: Callable[[Case, Mapping[str, str], Sequence[str]], str] | None = None

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """Return the bindings, importing the framework if need be."""
        return self.bindings if isinstance(self.bindings, Mapping) else self.bindings()


@dataclass(frozen=True)
class Verdict:
    """The outcome of one case, with its evidence.

    compared: how many numbers were compared. share: the worst error as a share of its bound (0 where all were equal,
    infinite where the bound is 0 and something differed). reason: one line on why it does not conform.
    details: for the worst element: output, index, expected, actual, bound; of a process that ended: printed, its last
    lines.
    """

    backend: str
    check: str
    operator: str
    dtype: str
    outcome: Outcome
    case: Case | None = None
    compared: int = 0
    share: float = 0.0
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether this verdict alone fails a run."""
        return self.outcome in FAILURES


@dataclass(frozen=True)
class Fault:
    """A known way to be wrong, beside an honest twin that differs from it in nothing else.

    wrong, twin: bindings of the operator, or of its gradients where the check is about these, that take and return
    NumPy arrays. check, dtype: where it must be caught. kind: what it is a mistake in, one of KINDS_OF_FAULTS.
    """

    name: str
    sentence: str
    operator: str
    check: str
    wrong: Callable[..., Any]
    twin: Callable[..., Any]
    dtype: str = "float32"
    kind: str = "index"


KINDS_OF_FAULTS = (
    *("index", "shape", "padding", "divisor", "groups", "axes", "statistics", "gradient", "special", "dtype", "size"),
    *("layout", "state", "aliasing", "nondeterminism", "acceptance", "rounding"),
)


@dataclass(frozen=True)
class Call:
    """One of several calls that a law makes: an operator, its arrays as they are, and attributes."""

    operator: str
    inputs: Arrays
    attributes: Attributes


@dataclass(frozen=True)
class Law:
    """A relation between several calls that needs no reference.

    operators: which it speaks of. calls: (operator, arrays, attributes) -> the calls to make, the arrays in the dtype
    of those given; none where the law says nothing of such a case. relation: (arrays, attributes, the first output of
    each call) -> two arrays that must be equal. It is also applied to the bounds of the outputs, with zeros for the
    arrays, so that of outputs it may only copy, select, add, scale by numbers above 0, and take the larger of two.
    """

    name: str
    sentence: str
    operators: tuple[str, ...]
    calls: Callable[[str, Arrays, Attributes], Sequence[Call]]
    relation: Callable[[Arrays, Attributes, Sequence[Array]], tuple[Array, Array]]
