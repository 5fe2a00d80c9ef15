"""Builds `goverify/verify.go`, a verifier that shares no line with this project (golang.org/x/mod, Go 1.19)."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.vectors.required import skip_or_fail

_SOURCE = Path(__file__).resolve().parent / "goverify" / "verify.go"
_GOPATH = Path("/usr/share/gocode")
_built: dict[str, Path] = {}


def go_verifier(tmp: Path) -> Path:
    """Builds the program into `tmp` once a run and returns its path; skips or fails the test without Go."""
    if "verify" in _built and _built["verify"].is_file():
        return _built["verify"]
    if shutil.which("go") is None or not (_GOPATH / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        skip_or_fail("no Go compiler with golang.org/x/mod: install golang-go and golang-golang-x-mod-dev")
    program = tmp / "goverify"
    subprocess.run(
        ["go", "build", "-o", str(program), str(_SOURCE)],
        env={
            **os.environ,
            "GO111MODULE": "off",
            "GOPATH": str(_GOPATH),
            "GOFLAGS": "",
            "GOCACHE": os.environ.get("GOCACHE", str(tmp / "gocache")),
        },
        check=True,
        capture_output=True,
        timeout=240,
    )
    _built["verify"] = program
    return program


def run_go_verifier(program: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the program; the return code is 0 and the output ends in OK exactly when it is convinced."""
    return subprocess.run([str(program), *map(str, args)], capture_output=True, text=True, check=False, timeout=60)
