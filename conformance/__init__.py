"""A conformance suite for convolution, pooling and normalization: is this backend's conv2d right?

`conformance.run.run` judges a backend, `pytest --pyargs conformance` does so under pytest, `convformance` on the
command line. docs/design.md says how the parts fit together.
"""

__version__ = "0.1.0"
