"""A fetch list: what a computer that is online, without Whetstone, must get of a model, and how; checked on its return.

Where the hub could be asked, the list names each file with size and checksum. Where it could not, the script asks the
hub itself and keeps its answer, which is the list then. Both are plain commands that can be read before they are run.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from desktop_app.domain.download_spec import is_plain_path
from desktop_app.durable_file import move_into_place, write_synced
from desktop_app.errors import ModelError, StorageError

from .json_file import read_json_object

LIST, ANSWER = "fetch-list.json", "hub-answer.json"
HELPERS = (LIST, ANSWER, "fetch.sh", "fetch.ps1", "FETCH.txt")
_MOST_BYTES = 32 * 1024 * 1024
_BLOCK_BYTES = 4 * 1024 * 1024
_GET_AGAIN = "Run fetch.sh or fetch.ps1 once more on the computer that is online; it gets what is missing or damaged."

_ABOUT = """Fetch list of {repo}{at}

Copy this folder to a computer that is online, and run there

    sh fetch.sh                                          Linux, macOS
    powershell -ExecutionPolicy Bypass -File fetch.ps1   Windows

It needs curl or wget, or PowerShell; nothing is installed. A cut download goes on when it is run again. For a gated
model set HF_TOKEN to a token of yours first. Then carry the folder back and choose it in Whetstone: Models, Bring in.
Every file is compared with the hub's checksum there.
{files}"""

_SH = """#!/bin/sh
# Gets {repo} into this folder, each file checked. Needs curl or wget. For a gated model set HF_TOKEN first.
set -eu
cd "$(dirname "$0")"
hub={hub}
repo={repo_quoted}
commit={commit}

fetch() {{ # address, file, how to go on
  if command -v curl >/dev/null 2>&1; then
    curl -fL --retry 5 $3 ${{HF_TOKEN:+-H "Authorization: Bearer $HF_TOKEN"}} -o "$2" "$1"
  else
    wget ${{3:+-c}} ${{HF_TOKEN:+--header "Authorization: Bearer $HF_TOKEN"}} -O "$2" "$1"
  fi
}}
sum256() {{ if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }}
sum1() {{ if command -v sha1sum >/dev/null 2>&1; then sha1sum; else shasum -a 1; fi | cut -d' ' -f1; }}
is_right() {{ # file, size, sha256, git's sha1
  [ -f "$1" ] || return 1
  [ "$(wc -c < "$1" | tr -d ' ')" = "$2" ] || return 1
  if [ -n "$3" ]; then [ "$(sum256 < "$1")" = "$3" ]
  elif [ -n "$4" ]; then [ "$({{ printf 'blob %s\\0' "$2"; cat "$1"; }} | sum1)" = "$4" ]
  fi
}}
get() {{ # file, address, size, sha256, git's sha1
  if is_right "$1" "$3" "$4" "$5"; then echo "is there: $1"; return; fi
  mkdir -p "$(dirname "$1")"
  if [ -f "$1" ] && [ "$(wc -c < "$1" | tr -d ' ')" -ge "$3" ]; then rm "$1"; fi
  echo "fetching: $1"
  fetch "$hub/$repo/resolve/$commit/$2" "$1" "-C -"
  is_right "$1" "$3" "$4" "$5" || {{ rm "$1"; echo "$1 is not what the hub states; run this again" >&2; exit 1; }}
}}

{body}
echo "All of it is here. Carry this folder to Whetstone: Models, Bring in."
"""
# Only the hub's own answer is read, by its quoted names; Whetstone compares sizes and checksums with it afterwards.
_SH_ASKING = """fetch "$hub/api/models/$repo/revision/$commit?blobs=true" hub-answer.json ""
commit=$(tr ',{' '\\n\\n' < hub-answer.json | sed -n 's/.*"sha" *: *"\\([0-9a-f]\\{40\\}\\)".*/\\1/p' | head -n 1)
[ -n "$commit" ] || { echo "the hub's answer names no commit" >&2; exit 1; }
names=$(tr ',{' '\\n\\n' < hub-answer.json | sed -n 's/.*"rfilename" *: *"\\([^"\\\\/]*\\)".*/\\1/p')
case "$names" in *.safetensors*) weights=safetensors ;; *) weights=none ;; esac
[ "$weights" = safetensors ] || { echo "it holds no safetensors; make the list where Whetstone is online" >&2; exit 1; }
echo "$names" | while IFS= read -r name; do
  case "$name" in
    *.safetensors|*.json|*.txt|*.model|*.jinja|*.md|LICEN*|NOTICE*|USE_POLICY*|COPYING*) ;;
    *) continue ;;
  esac
  case "$name" in fetch*|FETCH*|hub-answer*) continue ;; esac
  if [ -f "$name" ] && [ -f ".done-$commit" ] && grep -qxF "$name" ".done-$commit"; then continue; fi
  echo "fetching: $name"
  fetch "$hub/$repo/resolve/$commit/$name" "$name" "-C -" || {
    rm -f "$name"  # what an earlier run left may be whole already, or of another commit
    fetch "$hub/$repo/resolve/$commit/$name" "$name" ""
  }
  echo "$name" >> ".done-$commit"
done"""

_PS = """# Gets {repo} into this folder, each file checked. For a gated model set $env:HF_TOKEN first.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
[Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
Set-Location -LiteralPath $PSScriptRoot
$hub = {hub}
$repo = {repo_quoted}
$commit = {commit}
$headers = @{{}}
if ($env:HF_TOKEN) {{ $headers['Authorization'] = "Bearer $env:HF_TOKEN" }}

function Test-Right($file, $size, $sha256) {{
  if (-not (Test-Path -LiteralPath $file)) {{ return $false }}
  if ((Get-Item -LiteralPath $file).Length -ne $size) {{ return $false }}
  return (-not $sha256) -or ((Get-FileHash -LiteralPath $file -Algorithm SHA256).Hash -eq $sha256)
}}
function Get-One($file, $address, $size, $sha256) {{
  if (Test-Right $file $size $sha256) {{ Write-Output "is there: $file"; return }}
  $folder = Split-Path -Parent $file
  if ($folder) {{ New-Item -ItemType Directory -Force -Path $folder | Out-Null }}
  Write-Output "fetching: $file"
  Invoke-WebRequest -UseBasicParsing -Headers $headers -Uri "$hub/$repo/resolve/$commit/$address" -OutFile $file
  if (-not (Test-Right $file $size $sha256)) {{
    Remove-Item -LiteralPath $file
    throw "$file is not what the hub states; run this again"
  }}
}}

{body}
Write-Output 'All of it is here. Carry this folder to Whetstone: Models, Bring in.'
"""
_PS_ASKING = """$address = "$hub/api/models/$repo/revision/$($commit)?blobs=true"
Invoke-WebRequest -UseBasicParsing -Headers $headers -Uri $address -OutFile hub-answer.json
$answer = Get-Content -Raw -LiteralPath hub-answer.json | ConvertFrom-Json
$commit = $answer.sha
$wanted = $answer.siblings | Where-Object {
  $_.rfilename -notmatch '[/\\\\]' -and
  $_.rfilename -match '\\.(safetensors|json|txt|model|jinja|md)$|^(LICEN|NOTICE|USE_POLICY|COPYING)' -and
  $_.rfilename -notmatch '^(fetch|hub-answer)'
}
if (-not ($wanted.rfilename -match '\\.safetensors$')) { throw 'It holds no safetensors; make the list online.' }
foreach ($one in $wanted) {
  if ($one.lfs) { Get-One $one.rfilename ([uri]::EscapeDataString($one.rfilename)) $one.lfs.size $one.lfs.sha256 }
  else { Get-One $one.rfilename ([uri]::EscapeDataString($one.rfilename)) $one.size '' }
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One file as the hub states it; '' where it does not say."""

    name: str
    size: int
    sha256: str = ""
    git_sha1: str = ""


def hub_address() -> str:
    """Return the hub that is used, without a slash at its end."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def write_fetch_list(folder: Path, repo: str, commit: str, files: Iterable[Fetched] = ()) -> None:
    """Write a new folder with the list and its commands; without `files` they ask the hub when they are run.

    Raises:
        StorageError: the folder exists, or cannot be written.
    """
    listed = sorted(files, key=lambda file: file.name)
    if folder.exists():
        raise StorageError(f"{folder} exists already.", "Choose another name; nothing is overwritten.")
    aside = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    try:
        aside.mkdir(parents=True)
        for name, text in _texts(repo, commit or "main", listed).items():
            write_synced(aside / name, text)
        move_into_place(aside, folder)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}.", "Choose another folder.") from error


def listed_files(found: Mapping[str, Any], names: Iterable[str] | None = None) -> list[Fetched]:
    """Take files out of the hub service's answer: those of these names, or all that a loader needs."""
    wanted = None if names is None else set(names)
    return [
        Fetched(name=each["name"], size=each["size"], sha256=each["sha256"], git_sha1=each["git_sha1"])
        for each in found["files"]
        if (each["suggested"] if wanted is None else each["name"] in wanted)
    ]


def _texts(repo: str, commit: str, files: list[Fetched]) -> dict[str, str]:
    hub = hub_address()
    lines = [f"{file.size:>15,}  {file.sha256 or 'git ' + file.git_sha1}  {file.name}" for file in files]
    shown = "\n" + "\n".join(["Bytes, checksum and name:", "", *lines]) + "\n" if lines else ""
    at = f" at {commit}: {len(files)} files, {sum(file.size for file in files):,} bytes" if files else ""
    sh = "\n".join(
        f"get {shlex.quote(file.name)} {shlex.quote(quote(file.name))} {file.size} '{file.sha256}' '{file.git_sha1}'"
        for file in files
    )
    ps = "\n".join(f"Get-One {_ps(file.name)} {_ps(quote(file.name))} {file.size} '{file.sha256}'" for file in files)
    stated = {file.name: {"size": file.size, "sha256": file.sha256, "git_sha1": file.git_sha1} for file in files}
    about = {"version": 1, "repo": repo, "commit": commit, "hub": hub, "files": stated}
    in_sh = {"hub": shlex.quote(hub), "repo_quoted": shlex.quote(repo), "commit": shlex.quote(commit)}
    in_ps = {"hub": _ps(hub), "repo_quoted": _ps(repo), "commit": _ps(commit)}
    return {
        LIST: json.dumps(about, indent=1),
        "fetch.sh": _SH.format(repo=repo, body=sh or _SH_ASKING, **in_sh),
        "fetch.ps1": _PS.format(repo=repo, body=ps or _PS_ASKING, **in_ps).replace("\n", "\r\n"),
        "FETCH.txt": _ABOUT.format(repo=repo, at=at, files=shown),
    }


def _ps(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def fetched_origin(folder: Path) -> dict[str, Any] | None:
    """Say where a fetched folder comes from, for the manifest of what it becomes; None if it was not fetched."""
    if not (folder / LIST).is_file():
        return None
    about = read_json_object(folder / LIST, _MOST_BYTES)
    answer = read_json_object(folder / ANSWER, _MOST_BYTES) if (folder / ANSWER).is_file() else {}
    source = {
        "repo": str(about.get("repo", ""))[:200],
        "commit": str(answer.get("sha") or about.get("commit", ""))[:40],
    }
    return {"kind": "download", "source": source}


def check_fetched(folder: Path, digests: Mapping[str, str]) -> int:
    """Compare what was fetched with the hub's list; return how many files were compared, 0 where there is no list.

    `digests`: the SHA-256 of all files.

    Raises:
        ModelError: a file is missing, or not what the hub states.
    """
    if not (folder / LIST).is_file():
        return 0
    stated = _stated(folder)
    is_exact = not (folder / ANSWER).is_file()
    compared = 0
    for file in stated:
        if file.name not in digests:
            if is_exact:
                raise ModelError(f"{file.name} was not fetched.", _GET_AGAIN)
            continue
        place = folder / file.name
        is_right = place.stat().st_size == file.size and (not file.sha256 or digests[file.name] == file.sha256)
        if is_right and not file.sha256 and file.git_sha1:
            is_right = _git_sha1(place, file.size) == file.git_sha1
        if not is_right:
            # A script that was made offline knows no checksums: it would take the damaged file for fetched.
            again = _GET_AGAIN if is_exact else f"Delete it in {folder}. {_GET_AGAIN}"
            raise ModelError(f"{file.name} is not what the hub states: its size or checksum differs.", again)
        compared += 1
    if not compared:
        raise ModelError(f"{folder} holds a fetch list and nothing that was fetched.", _GET_AGAIN)
    return compared


def _stated(folder: Path) -> list[Fetched]:
    try:
        if (folder / ANSWER).is_file():
            answer = read_json_object(folder / ANSWER, _MOST_BYTES)
            return [_of_answer(each) for each in answer["siblings"] if is_plain_path(str(each["rfilename"]))]
        files = read_json_object(folder / LIST, _MOST_BYTES)["files"]
        return [
            Fetched(
                name=name, size=int(each["size"]), sha256=str(each["sha256"]).lower(), git_sha1=str(each["git_sha1"])
            )
            for name, each in files.items()
            if is_plain_path(name)
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"The fetch list in {folder} is damaged.", "Make it anew.") from error


def _of_answer(sibling: Mapping[str, Any]) -> Fetched:
    lfs = sibling.get("lfs") or {}
    return Fetched(
        name=str(sibling["rfilename"]),
        size=int(lfs.get("size") or sibling.get("size") or 0),
        sha256=str(lfs.get("sha256") or "").lower(),
        git_sha1="" if lfs else str(sibling.get("blobId") or ""),
    )


def _git_sha1(file: Path, size: int) -> str:
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
