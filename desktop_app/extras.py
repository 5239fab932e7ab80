"""Packages that `build/dev.py extra` installs and the program does without: which are here, how to get the others.

Looks only whether Python would find them; none is imported, for some import torch.
"""

import importlib.util
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """`name` for `dev.py extra`, and the `package` that is imported."""

    name: str
    package: str

    @property
    def is_here(self) -> bool:
        """Whether it can be imported."""
        return importlib.util.find_spec(self.package) is not None

    @property
    def command(self) -> str:
        """What a person types in the folder of the program's source to install it."""
        return f"python3 build/dev.py extra {self.name}"

    @property
    def how(self) -> str:
        """Say how to get it: a half sentence that goes on from 'it is not installed'."""
        if getattr(sys, "frozen", False):
            return f"run the program from its source, and there {self.command}"
        return f"install it by {self.command}"


GPTQ = Extra(name="gptq", package="gptqmodel")
LLAMA_CPP = Extra(name="llama-cpp", package="llama_cpp")
_ALL = {each.name: each for each in (GPTQ, LLAMA_CPP)}


def missing_extra(name: str) -> str:
    """Say that an extra is needed and how to get it: 'needs …; install it by …'; '' if it is here, or none is named."""
    extra = _ALL.get(name)
    if extra is None or extra.is_here:
        return ""
    return f"needs {extra.package}, which is not installed; {extra.how}"
