"""Builds the Go programs here, which share no line with this project (golang.org/x/mod, Go 1.19)."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.vectors.required import skip_or_fail

_HERE = Path(__file__).resolve().parent
_GOPATH = Path("/usr/share/gocode")
_built: dict[str, Path] = {}


def go_verifier(tmp: Path) -> Path:
    """Builds `goverify/verify.go`, a verifier of proofs and logs, as `go_program` does."""
    return go_program(tmp, "goverify/verify.go")


def go_witness(tmp: Path) -> Path:
    """Builds `gowitness/witness.go`, a witness of logs, as `go_program` does."""
    return go_program(tmp, "gowitness/witness.go")


def go_program(tmp: Path, source: str) -> Path:
    """Builds a program into `tmp` once a run and returns its path; skips or fails the test without Go."""
    if source in _built and _built[source].is_file():
        return _built[source]
    if shutil.which("go") is None or not (_GOPATH / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        skip_or_fail("no Go compiler with golang.org/x/mod: install golang-go and golang-golang-x-mod-dev")
    program = tmp / Path(source).parent.name
    subprocess.run(
        ["go", "build", "-o", str(program), str(_HERE / source)],
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
    _built[source] = program
    return program


def run_go_verifier(program: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the program; the return code is 0 and the output ends in OK exactly when it is convinced."""
    return subprocess.run([str(program), *map(str, args)], capture_output=True, text=True, check=False, timeout=60)
