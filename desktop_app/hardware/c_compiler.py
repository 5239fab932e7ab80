"""Whether this computer can build a C module for this Python, as Triton does when its first kernel is called.

Looks where Triton looks: CC, gcc, clang, and Python's own headers. The package has no headers, so it never can.
"""

import functools
import os
import shutil
import sysconfig
from pathlib import Path


@functools.cache
def can_build_for_python() -> bool:
    """Return whether a compiler and `Python.h` are here; looked for once."""
    named = os.environ.get("CC")
    compilers = [named] if named is not None else ["gcc", "clang"]
    if not any(shutil.which(name) for name in compilers):
        return False
    scheme = sysconfig.get_default_scheme()
    # Debian's own scheme names a folder that nothing installs headers into.
    headers = sysconfig.get_paths("posix_prefix" if scheme == "posix_local" else scheme)["include"]
    return Path(headers, "Python.h").is_file()
