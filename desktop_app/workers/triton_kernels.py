"""Keep Triton away where it could build nothing, so that libraries compute without its kernels.

It comes with torch for CUDA on Linux, and trl calls its kernels as soon as it can be found: without a C compiler or
Python's headers a training on a GPU would end at its first step.
"""

import sys

from desktop_app.hardware.c_compiler import can_build_for_python


def leave_out_triton_where_it_cannot_build() -> None:
    """Make `import triton` fail if it is of no use here; to be called before transformers is imported."""
    if not can_build_for_python():
        sys.modules["triton"] = None  # type: ignore[assignment]  # the import system's own word for "not here"
