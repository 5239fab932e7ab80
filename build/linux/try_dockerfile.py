#!/usr/bin/env python3
"""Carry out the steps of the Dockerfile in a plain Debian tree by chroot, where no container engine can run; as root.

    debootstrap --variant=minbase bookworm TREE
    python3 build/linux/try_dockerfile.py TREE [--build-arg NAME=VALUE] [--bind PATH ...] [-- WORDS FOR THE PROGRAM]

With words after `--` the program is started with them in the end, in place of the CMD.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Tree:
    """A Debian tree that stands for the image: variables, working directory and user as the steps set them."""

    def __init__(self, place: Path, given: dict[str, str]) -> None:
        self.place = place
        self.given = given
        self.values: dict[str, str] = {}
        self.exported = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        self.folder = "/"
        self.user = ""
        self.entry: list[str] = []
        self.command: list[str] = []

    def do(self, word: str, rest: str) -> None:
        """Carry out one instruction."""
        match word:
            case "FROM" | "EXPOSE":
                pass
            case "ARG":
                name, _, default = rest.partition("=")
                self.values[name] = self.given.get(name, default)
            case "ENV":
                self.exported |= dict(pair.split("=", 1) for pair in rest.split())
            case "WORKDIR" | "VOLUME":
                self.folder = rest if word == "WORKDIR" else self.folder
                (self.place / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "USER":
                self.user = rest
                self.exported["HOME"] = f"/home/{rest}"
            case "COPY":
                self.copy(rest.split())
            case "RUN":
                self.run(["/bin/sh", "-c", rest])
            case "ENTRYPOINT":
                self.entry = json.loads(rest)
            case "CMD":
                self.command = json.loads(rest)
            case _:
                sys.exit(f"{word} is not known here.")

    def copy(self, words: list[str]) -> None:
        """Copy from the repository, as root's."""
        *sources, target = words
        folder = self.place / self.folder.lstrip("/") / target
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, folder)

    def run(self, command: list[str]) -> None:
        """Run a command inside; end with its exit code if it fails."""
        as_user = [f"--userspec={self.user}"] if self.user else []
        inside = ["/usr/bin/env", "-i", *(f"{k}={v}" for k, v in {**self.values, **self.exported}.items())]
        into = ["/usr/bin/env", "--chdir", self.folder]
        code = subprocess.call(["chroot", *as_user, str(self.place), *inside, *into, *command])
        if code != 0:
            sys.exit(code)


def main() -> None:
    """Carry out all steps, then start the program if asked to."""
    words = sys.argv[1:]
    program = words[words.index("--") + 1 :] if "--" in words else None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", type=Path)
    parser.add_argument("--build-arg", action="append", default=[])
    parser.add_argument("--bind", action="append", default=[], help="folder of this computer that is seen inside")
    asked = parser.parse_args(words[: words.index("--")] if "--" in words else words)
    tree = Tree(asked.tree.resolve(), dict(pair.split("=", 1) for pair in asked.build_arg))
    mounted = []
    try:
        for source in ["/proc", "/sys", "/dev", *asked.bind]:
            target = tree.place / source.lstrip("/")
            target.mkdir(parents=True, exist_ok=True)
            subprocess.check_call(["mount", "--rbind", source, str(target)])
            subprocess.check_call(["mount", "--make-rslave", str(target)])
            mounted.append(target)
        shutil.copy("/etc/resolv.conf", tree.place / "etc" / "resolv.conf")
        text = re.sub(r"\\\n", " ", (HERE / "Dockerfile").read_text(encoding="utf-8"))
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                print(f"-> {line}", flush=True)
                word, _, rest = line.partition(" ")
                tree.do(word, rest.strip())
        if program is not None:
            tree.run([*tree.entry, *program])
    finally:
        for target in reversed(mounted):
            subprocess.call(["umount", "--recursive", "--lazy", str(target)])


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("A chroot needs root.")
    main()
