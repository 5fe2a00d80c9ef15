"""The trust policy of a log: which log keys, which witnesses, and how many must have cosigned.

Rules kept: names refer to earlier lines only and are a group's member at most once; two keys that are the same public
key are refused even under other names; what is counted are distinct *public keys*, never lines. A policy with several
`log` lines accepts any of them, so a verifier still names the origin that it expects. Trusts the agreement that
carried the text. Source: C2SP tlog-policy.md (draft), C2SP/C2SP at 5ba5ee830903e91240fc6f9f3a7a9293d49e69c9.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from msgspec import Struct

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.ids import parse_decimal
from federation.protocol.tlog.note import KeyKind, Vkey, parse_vkey

NO_QUORUM = "none"
MAX_POLICY_BYTES = 256 * 1024
_LOG_KINDS = {KeyKind.ED25519}
_WITNESS_KINDS = {KeyKind.COSIGNATURE, KeyKind.COSIGNATURE_MLDSA44}
_OCTETS = re.compile(rb"[\t\n\x20-\x7e\x80-\xff]*")
_NAME = re.compile(r"[^\t\n ]+")


class PolicyLog(Struct, frozen=True, kw_only=True):
    vkey: Vkey
    url: str | None = None


class PolicyWitness(Struct, frozen=True, kw_only=True):
    name: str
    vkey: Vkey
    url: str | None = None


class PolicyGroup(Struct, frozen=True, kw_only=True):
    """At least `threshold` of the members, each a witness or an earlier group."""

    name: str
    threshold: int
    members: tuple[str, ...]


class Policy(Struct, frozen=True, kw_only=True):
    """One tlog-policy as read; `quorum` names a witness, a group, or `NO_QUORUM`."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str

    @property
    def witness_vkeys(self) -> tuple[Vkey, ...]:
        return tuple(witness.vkey for witness in self.witnesses)


def parse_policy(blob: bytes) -> Policy:
    """Parses a tlog-policy; refuses a broken rule, naming its line (POLICY). Names are opaque bytes."""
    if len(blob) > MAX_POLICY_BYTES or not blob.endswith(b"\n") or not _OCTETS.fullmatch(blob):
        raise MalformedError("POLICY", "expected lines ending in LF without control bytes, got another form")
    reading = _Reading()
    for number, line in enumerate(blob.decode("utf-8", "surrogateescape").split("\n"), start=1):
        words = _NAME.findall(line)
        if words and not words[0].startswith("#"):
            reading.read(words, number)
    return reading.finish()


def find_log(policy: Policy, origin: str) -> Vkey | None:
    return next((log.vkey for log in policy.logs if log.vkey.name == origin), None)


def satisfied_names(policy: Policy, public_keys: Collection[bytes]) -> frozenset[str]:
    """Computes which witnesses and groups have witnessed, given the verified distinct public keys."""
    met = {NO_QUORUM}
    met.update(witness.name for witness in policy.witnesses if witness.vkey.public_key in public_keys)
    for group in policy.groups:
        if sum(member in met for member in group.members) >= group.threshold:
            met.add(group.name)
    return frozenset(met)


def verify_quorum(policy: Policy, public_keys: Iterable[bytes]) -> frozenset[str]:
    """Returns the names that are met when these public keys are enough; refuses too few (QUORUM)."""
    distinct = frozenset(public_keys)
    met = satisfied_names(policy, distinct)
    if policy.quorum not in met:
        known = sum(witness.vkey.public_key in distinct for witness in policy.witnesses)
        raise UntrustedError("QUORUM", f"expected the quorum {policy.quorum!r:.40}, got {known} witnesses", known=known)
    return met


class _Reading:
    def __init__(self) -> None:
        self.logs: list[PolicyLog] = []
        self.witnesses: list[PolicyWitness] = []
        self.groups: list[PolicyGroup] = []
        self.quorum: str | None = None
        self.names: set[str] = set()
        self.members: set[str] = set()

    def read(self, words: list[str], number: int) -> None:
        try:
            match words:
                case ["log", vkey, *url] if len(url) <= 1:
                    self._read_log(parse_vkey(vkey), *url)
                case ["witness", name, vkey, *url] if len(url) <= 1:
                    self._read_witness(name, parse_vkey(vkey), *url)
                case ["group", name, threshold, *members] if members:
                    self._read_group(name, threshold, members)
                case ["quorum", name]:
                    self._read_quorum(name)
                case _:
                    raise _broken("log, witness, group or quorum with its words")
        except MalformedError as error:
            raise MalformedError(error.reason, f"line {number}: {error.message}", line=number) from error

    def finish(self) -> Policy:
        if self.quorum is None:
            raise _broken("exactly one quorum line")
        return Policy(
            logs=tuple(self.logs), witnesses=tuple(self.witnesses), groups=tuple(self.groups), quorum=self.quorum
        )

    def _read_log(self, vkey: Vkey, url: str | None = None) -> None:
        if vkey.kind not in _LOG_KINDS:
            raise _broken(f"a log key of kind 1, not {vkey.kind}")
        if any(log.vkey.public_key == vkey.public_key for log in self.logs):
            raise _broken("each log's public key once")
        self.logs.append(PolicyLog(vkey=vkey, url=url))

    def _read_witness(self, name: str, vkey: Vkey, url: str | None = None) -> None:
        if vkey.kind not in _WITNESS_KINDS:
            raise _broken(f"a witness key of kind 4 or 6, not {vkey.kind}")
        if any(witness.vkey.public_key == vkey.public_key for witness in self.witnesses):
            raise _broken("each witness's public key once")
        self._define(name)
        self.witnesses.append(PolicyWitness(name=name, vkey=vkey, url=url))

    def _read_group(self, name: str, threshold: str, members: list[str]) -> None:
        for member in members:
            if member not in self.names or member in self.members:
                raise _broken(f"members that are defined above and in no group yet, not {member!r:.40}")
            self.members.add(member)
        counts = {"any": 1, "all": len(members)}
        count = counts[threshold] if threshold in counts else parse_decimal(threshold, "a threshold")
        if not 1 <= count <= len(members):
            raise _broken(f"a threshold from 1 to {len(members)}, not {count}")
        self._define(name)
        self.groups.append(PolicyGroup(name=name, threshold=count, members=tuple(members)))

    def _read_quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise _broken("exactly one quorum line")
        if name != NO_QUORUM and name not in self.names:
            raise _broken(f"a quorum that is defined above, not {name!r:.40}")
        self.quorum = name

    def _define(self, name: str) -> None:
        if name == NO_QUORUM or name in self.names:
            raise _broken(f"a name that is not taken, not {name!r:.40}")
        self.names.add(name)


def _broken(expected: str) -> MalformedError:
    return MalformedError("POLICY", f"expected {expected}")
