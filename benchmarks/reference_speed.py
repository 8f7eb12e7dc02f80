"""How fast the reference is, and how much memory it takes, side by side with its peers; `--help` has the options.

python benchmarks/reference_speed.py --markdown docs/speed.md
"""

import os
import sys
from pathlib import Path

# Read by the libraries when they are imported: this comes before any of them.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[variable] = "1"

sys.path.insert(0, str(Path(__file__).parent))  # PYTHONSAFEPATH leaves it out

from speed.command import main  # noqa: E402

if __name__ == "__main__":
    main()
