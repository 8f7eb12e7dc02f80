"""What the tables of the reference library share, and how to read one.

A table is a module of a family of functions. CALLS: the name of a function -> a call that is allowed, and rows. A
row is the label, the argument, a part of the text, and what to change in the call so that it is refused so.
ARRAYS: a name -> a function of arrays, their shapes, whether complex numbers are taken, whether there is a
division. EMPTY: a function, arguments without elements, the shape that comes out.
"""

from __future__ import annotations

import numpy as np

COMPLEX = [[1j, 2.0], [3.0, 4.0]]
BOOLEANS = np.ones((1, 2, 4), bool)


def zeros(*shape):
    return np.zeros(shape)
