"""What `pytest --pyargs conformance` collects: the plugin makes one test of every cell in the place of this module.

A test is named after its cell, such as `values[torch-cpu-conv2d-float32]`; -k, -x, -n and the rest work as ever.
"""
