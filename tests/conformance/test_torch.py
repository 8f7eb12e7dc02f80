"""The torch backends: torch itself conforms, and what needs no device of the CUDA backends is right."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conformance_cases import OPERATORS, outcomes_of

import reference
from conformance.answers import answer
from conformance.backends import torch as backend
from conformance.backends.torch import bindings, convolution, pooling
from conformance.discovery import backends, find_backend
from conformance.formats import DTYPES, format_of, numpy_dtype
from conformance.lines import parse
from conformance.model import Arithmetic, Outcome
from conformance.run import run

CPU = find_backend("torch-cpu")


def test_conv2d_of_torch_conforms():
    verdicts = list(run("torch-cpu", operators=["conv2d"], dtypes=["float32"], examples=30))
    assert not [v for v in verdicts if v.failed]
    assert outcomes_of(verdicts)[Outcome.CONFORMS] > 100


def test_every_binding_of_torch_answers_and_conforms():
    verdicts = list(run("torch-cpu", checks=["values"], dtypes=["float64", "bfloat16"], examples=10))
    assert not [v for v in verdicts if v.failed]
    absent = {"conv_matrix", "convolve", "cross_correlate"}  # what torch does not have
    assert {v.operator for v in verdicts if v.outcome is Outcome.CONFORMS} == OPERATORS.keys() - absent
    assert OPERATORS.keys() - CPU.functions().keys() == absent


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_cross_the_border_and_come_back_bit_by_bit(dtype):
    array = np.array([[1.5, -0.0, np.inf], [np.nan, 3.0, -7.0]]).astype(numpy_dtype(dtype))
    tensor = CPU.from_numpy(array)
    assert tensor.dtype == getattr(torch, dtype)
    back = CPU.to_numpy(tensor.requires_grad_())
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()


def test_bindings_are_torch_itself():
    functions = CPU.functions()
    assert set(functions) <= set(reference.__all__)
    assert functions["conv2d"] is F.conv2d


def test_running_statistics_are_part_of_the_answer():
    kept = "running_mean=ramp(float32[1]), running_var=ramp(float32[1])"
    line = f"batch_norm(input=ramp(float32[4,1]), {kept}, training=True)"
    outputs = answer(CPU, parse(line))
    assert [output.shape for output in outputs] == [(4, 1), (1,), (1,)]
    assert outputs[1] != 1
    assert answer(CPU, parse("batch_norm(input=ramp(float32[4,1]), training=True)"))[1:] == [None, None]


def test_one_thread_is_used_unless_the_user_says_how_many(monkeypatch):
    before = torch.get_num_threads()
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        torch.set_num_threads(2)
        bindings.bindings.__wrapped__()
        assert torch.get_num_threads() == 2
        monkeypatch.delenv("OMP_NUM_THREADS")
        bindings.bindings.__wrapped__()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_it_says_which_torch_it_is():
    assert CPU.about().startswith(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, threads: ")


CONV = "conv2d(input=ramp({0}[1,2,3,3]), weight=ramp({0}[4,2,2,3]))"
TRANSPOSED = CONV.replace("conv2d", "conv_transpose2d").replace("weight=ramp({0}[4,2,", "weight=ramp({0}[2,4,")
NORM = "batch_norm(input=ramp({0}[4,1]), training=True)"


@pytest.mark.parametrize(
    ("line", "dtype", "arithmetic"),
    [
        (CONV, "float64", Arithmetic(format_of("float64"), format_of("float64"))),
        (CONV, "bfloat16", Arithmetic(format_of("float32"), format_of("bfloat16"), flushes=True)),
        (TRANSPOSED, "float32", Arithmetic.of("float32")),
        (TRANSPOSED, "float16", Arithmetic.of("float16", partials=2 * 3 + 1)),
        (NORM, "bfloat16", Arithmetic.of("bfloat16", partials=3)),
    ],
)
def test_what_the_cpu_promises(line, dtype, arithmetic):
    assert CPU.arithmetic(parse(line.format(dtype))) == arithmetic


@pytest.mark.parametrize(
    ("name", "line", "dtype", "arithmetic"),
    [
        ("torch-cuda", CONV, "float32", Arithmetic.of("float32")),
        ("torch-cuda", CONV, "float16", Arithmetic.of("float16", truncating=True)),
        ("torch-cuda-tf32", CONV, "float32", Arithmetic.of("float32", input_bits=11, truncating=True)),
        ("torch-cuda", NORM, "float32", Arithmetic.of("float32", variance="updating")),
        ("torch-cuda-tf32", NORM, "float32", Arithmetic.of("float32", variance="updating")),
    ],
)
def test_what_cuda_promises(name, line, dtype, arithmetic):
    assert backends()[name].arithmetic(parse(line.format(dtype))) == arithmetic


@pytest.mark.parametrize("tf32", [False, True])
def test_cuda_bindings_set_the_switches_that_they_promise(request, tf32):
    switches = [
        (torch.backends.cudnn, "allow_tf32", tf32),
        (torch.backends.cuda.matmul, "allow_tf32", tf32),
        (torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction", False),
        (torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", False),
    ]
    before = [getattr(owner, name) for owner, name, _ in switches]
    for owner, name, wanted in switches:
        setattr(owner, name, not wanted)
    request.addfinalizer(lambda: [setattr(*switch[:2], value) for switch, value in zip(switches, before, strict=True)])
    functions = backends()[f"torch-cuda{'-tf32' if tf32 else ''}"].functions()
    assert functions.keys() == CPU.functions().keys()
    x = torch.tensor([-1.0, 2.0])
    assert functions["relu"](input=x).tolist() == [0.0, 2.0]  # on whatever device the tensor is
    assert [getattr(owner, name) for owner, name, _ in switches] == [wanted for *_, wanted in switches]
    assert functions["relu"].__name__ == "relu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device")
@pytest.mark.parametrize("name", ["torch-cuda", "torch-cuda-tf32"])
def test_without_a_device_cuda_is_unavailable(name):
    assert backends()[name].unavailable() == "torch sees no CUDA device"
    (only,) = {v.outcome for v in run(name, examples=1)}
    assert only is Outcome.UNAVAILABLE


def test_tf32_is_a_matter_of_float32():
    assert backends()["torch-cuda-tf32"].dtypes == ("float32",)


def test_without_torch_all_torch_backends_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("torch-cpu", "torch-cuda", "torch-cuda-tf32"):
        assert backends()[name].unavailable().startswith("torch cannot be imported (")
        assert backends()[name].unavailable().endswith("); pip install 'convformance[torch]'")


BLOCKED = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("torch is blocked")

sys.meta_path.insert(0, NoTorch())
from conformance.__main__ import main
main()
"""


@pytest.mark.parametrize(("words", "code"), [(["list"], 0), (["run", "torch-cpu", "-o", "relu", "--in-process"], 3)])
def test_all_else_works_where_torch_is_not_installed(words, code):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, *words], capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == code, done.stderr
    assert "torch cannot be imported (torch is blocked)" in done.stdout


@pytest.mark.parametrize("declaration", backend.CPU_DECLARATIONS, ids=lambda d: d.reason[:40])
def test_a_declaration_says_why_where_and_since_when(declaration):
    assert declaration.outcome in (Outcome.DEVIATES, Outcome.UNSUPPORTED, Outcome.CRASHED)
    assert len(declaration.reason) > 20
    assert declaration.link.startswith("https://")
    assert datetime.date.fromisoformat(declaration.date) <= datetime.datetime.now(datetime.UTC).date()
    witness = parse(declaration.witness)
    assert repr(parse(repr(witness))) == repr(witness)
    assert declaration.applies(witness)
    assert witness.operator in declaration.operators
    assert set(declaration.operators) <= OPERATORS.keys()
    if declaration.here():
        assert any(declaration.covers(check, witness) for check in declaration.checks)
        assert not declaration.covers("speed", witness)


@pytest.mark.parametrize("operator", ["max_pool1d", "max_pool2d", "max_pool3d"])
def test_only_windows_on_padding_alone_have_no_index(operator):
    rank = int(operator[-2])
    line = f"{operator}(input=ramp(float32[1,1{',1' * rank}]), kernel_size=2, padding=1, dilation={{}}{{}})"
    assert pooling._pools_nothing(parse(line.format(2, ", stride=1, return_indices=True")))
    assert not pooling._pools_nothing(parse(line.format(1, ", stride=1, return_indices=True")))
    assert not pooling._pools_nothing(parse(line.format(2, ", stride=1")))
    assert not pooling._pools_nothing(parse(line.format(1, ", stride=3, ceil_mode=True, return_indices=True")))


def test_whether_the_processor_has_bfloat16_dot_products_is_known():
    assert convolution._bfloat16_dot_products() in (False, True)
