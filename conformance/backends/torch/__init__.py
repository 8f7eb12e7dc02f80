"""PyTorch: its bindings, its tensors, and what is known of each family of its operators, a module each."""

from __future__ import annotations

from conformance.backends.torch.backends import BACKENDS as BACKENDS
from conformance.backends.torch.backends import CPU_DECLARATIONS as CPU_DECLARATIONS
