"""Writes the figures beside this file from the published files: `python convert.py FOLDER` (see `README.md`).

FOLDER holds `wycheproof/` with the two files as published and `merkle/inclusion.json`, `merkle/consistency.json`: the
files of `testdata/inclusion` and `testdata/consistency`, joined into one list in the order of their names.
"""

import base64
import json
import sys
from pathlib import Path


def hexed(value: str | None) -> str:
    """Base64 as published, in hexadecimal."""
    return base64.b64decode(value or "").hex()


def signatures(published: dict, *, raw_key: bool) -> list:
    """`[key, [[number, message, signature, 1 valid | 0 invalid]]]` for each group."""
    verdicts = {"valid": 1, "invalid": 0}
    return [
        [
            group["publicKey"]["pk"] if raw_key else group["publicKeyDer"],
            [[case["tcId"], case["msg"], case["sig"], verdicts[case["result"]]] for case in group["tests"]],
        ]
        for group in published["testGroups"]
    ]


def proofs(published: list, sizes: tuple[str, str], hashes: tuple[str, str]) -> list:
    """`[number, size, size, hash, hash, proof, 1 verifies | 0 does not]` for each case."""
    return [
        [
            number,
            *(case[name] for name in sizes),
            *(hexed(case[name]) for name in hashes),
            [hexed(each) for each in case["proof"] or []],
            int(not case["wantErr"]),
        ]
        for number, case in enumerate(published, start=1)
    ]


def main(folder: Path) -> None:
    """Writes the four files, one group or case a line."""

    def read(name: str):
        return json.loads((folder / name).read_text(encoding="utf-8"))

    made = {
        "ed25519": signatures(read("wycheproof/ed25519_test.json"), raw_key=True),
        "ecdsa_p256_sha256": signatures(read("wycheproof/ecdsa_secp256r1_sha256_test.json"), raw_key=False),
        "merkle_inclusion": proofs(read("merkle/inclusion.json"), ("leafIdx", "treeSize"), ("root", "leafHash")),
        "merkle_consistency": proofs(read("merkle/consistency.json"), ("size1", "size2"), ("root1", "root2")),
    }
    for name, rows in made.items():
        lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
        Path(__file__).with_name(f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
