"""Trust policies and the strength of their thresholds (C2SP tlog-policy)."""

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.errors import MalformedError, UntrustedError
from federation.protocol.tlog.note import KeyKind, Vkey, format_vkey
from federation.protocol.tlog.quorum import (
    MAX_POLICY_BYTES,
    Policy,
    PolicyGroup,
    PolicyLog,
    PolicyWitness,
    find_log,
    parse_policy,
    satisfied_names,
    verify_quorum,
)
from tests.protocol.tlog.golden import LOG, LOG_VKEY, PQ_WITNESS


def witness_key(at: int, name: str = "") -> Vkey:
    """A witness's vkey; policies do not care whether it is a point on the curve."""
    return Vkey(name=name or f"w{at}.example", kind=KeyKind.COSIGNATURE, public_key=bytes([at]) * 32)


def format_policy(policy: Policy) -> bytes:
    """The policy in the fixed order logs, witnesses, groups, quorum."""
    lines = [("log", format_vkey(log.vkey), log.url) for log in policy.logs]
    lines += [("witness", entry.name, format_vkey(entry.vkey), entry.url) for entry in policy.witnesses]
    lines += [("group", group.name, str(group.threshold), *group.members) for group in policy.groups]
    lines += [("quorum", policy.quorum)]
    text = "".join(" ".join(word for word in words if word is not None) + "\n" for words in lines)
    return text.encode("utf-8", "surrogateescape")


KEYS = [witness_key(at).public_key for at in range(4)]
OURS = (
    f"log {LOG_VKEY}\n"
    + "".join(f"witness {name} {format_vkey(witness_key(at))}\n" for at, name in enumerate("ABCD"))
    + "group peers 3 A B C D\nquorum peers\n"
)


def test_policy_of_ours_counts_three_of_four_distinct_keys():
    """Any three of the four are enough, no two are."""
    policy = parse_policy(OURS.encode())

    for count in range(5):
        for keys in combinations(KEYS, count):
            if count >= 3:
                assert "peers" in verify_quorum(policy, keys)
            else:
                with pytest.raises(UntrustedError) as caught:
                    verify_quorum(policy, [*keys, *keys, b"\xff" * 32])
                assert caught.value.reason == "QUORUM"
    assert (find_log(policy, LOG.name), find_log(policy, "other")) == (LOG, None)
    assert format_policy(policy).decode() == OURS


def test_policy_nested_groups_any_all_and_none():
    """Groups of groups, as in the published example; `none` demands nothing."""
    lines = "".join(f"witness X{at} {format_vkey(witness_key(at))} https://x{at}.example/\n" for at in range(4))
    text = f"# comment\n\n \t# another\n{lines}group X 2 X0 X1\n\tgroup Y any X2  X3 \ngroup Z all X Y\nquorum Z\n"
    policy = parse_policy(text.encode())

    assert satisfied_names(policy, KEYS[:3]) == {"none", "X0", "X1", "X2", "X", "Y", "Z"}
    assert "Z" not in satisfied_names(policy, KEYS[1:])
    assert policy.witnesses[0].url == "https://x0.example/"
    assert verify_quorum(parse_policy(b"quorum none\n"), []) == {"none"}
    assert parse_policy(format_policy(policy)) == policy


A = format_vkey(witness_key(0))
B = format_vkey(witness_key(1))
A_AGAIN = format_vkey(witness_key(0, "alias.example"))
LOG_AGAIN = format_vkey(Vkey(name="alias", kind=LOG.kind, public_key=LOG.public_key))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quorum none",
        "quorum none\r\n",
        "quorum none\x7f\n",
        "quorum\n",
        "quorum a b\n",
        "quorum none\nquorum none\n",
        "quorum a\n",
        f"quorum a\nwitness a {A}\n",
        f"witness a {A}\n",
        f"witness none {A}\nquorum none\n",
        f"witness a {A}\nwitness a {B}\nquorum none\n",
        f"witness a {A}\nwitness b {A}\nquorum none\n",
        f"witness a {A}\nwitness b {A_AGAIN}\nquorum none\n",
        f"witness a {A} url more\nquorum none\n",
        f"witness a {LOG_VKEY}\nquorum none\n",
        f"witness {A}\nquorum none\n",
        f"log {A}\nquorum none\n",
        f"log {LOG_VKEY}\nlog {LOG_AGAIN}\nquorum none\n",
        "log\nquorum none\n",
        "log nonsense\nquorum none\n",
        f"witness a {A}\ngroup g 0 a\nquorum g\n",
        f"witness a {A}\ngroup g 2 a\nquorum g\n",
        f"witness a {A}\ngroup g 01 a\nquorum g\n",
        f"witness a {A}\ngroup g some a\nquorum g\n",
        f"witness a {A}\ngroup g any\nquorum g\n",
        f"witness a {A}\ngroup g any a a\nquorum g\n",
        f"witness a {A}\ngroup g any b\nwitness b {B}\nquorum g\n",
        f"witness a {A}\ngroup g any g\nquorum g\n",
        f"witness a {A}\ngroup g any none\nquorum g\n",
        f"witness a {A}\ngroup g any a\ngroup h any a\nquorum g\n",
        f"witness a {A}\ngroup a any a\nquorum a\n",
        f"witness a {A}\u00a0\nquorum none\n",
        f"Log {LOG_VKEY}\nquorum none\n",
    ],
)
def test_parse_policy_broken_rule_is_refused(text):
    """Each rule of the format has its refusal."""
    with pytest.raises(MalformedError):
        parse_policy(text.encode())


def test_parse_policy_too_large_is_refused():
    """The size is judged before a line is read."""
    with pytest.raises(MalformedError):
        parse_policy(b"#" * MAX_POLICY_BYTES + b"\nquorum none\n")


def test_parse_policy_error_names_the_line():
    """The operator learns where."""
    with pytest.raises(MalformedError) as caught:
        parse_policy(f"\nwitness a {A}\ngroup g 5 a\nquorum g\n".encode())

    assert caught.value.facts == {"line": 3}


def test_parse_policy_names_are_opaque_bytes():
    """K and the Kelvin sign are two names; bytes that are no UTF-8 are names too."""
    text = b"witness K " + A.encode() + b"\nwitness \xe2\x84\xaa " + B.encode() + b"\n"
    third = b"witness \xff " + format_vkey(witness_key(2)).encode() + b"\ngroup \xfe 2 \xff K\nquorum \xfe\n"

    policy = parse_policy(text + third)

    assert len(policy.witnesses) == 3
    assert parse_policy(format_policy(policy)) == policy


def test_policy_mldsa_key_is_a_witness_of_its_own():
    """A node's two keys are two witnesses; a group makes them one."""
    text = f"witness a {A}\nwitness b {format_vkey(PQ_WITNESS)}\ngroup node any a b\nquorum node\n"

    assert "node" in verify_quorum(parse_policy(text.encode()), [PQ_WITNESS.public_key])


@given(st.integers(1, 32), st.data())
def test_policy_round_trips(count, data):
    """Every lawful policy reads back as itself, with 32 witnesses too."""
    names = [f"w{at}" for at in range(count)]
    witnesses = tuple(PolicyWitness(name=name, vkey=witness_key(at + 1), url=None) for at, name in enumerate(names))
    group = PolicyGroup(name="g", threshold=data.draw(st.integers(1, count)), members=tuple(names))
    url = data.draw(st.none() | st.just("https://log.example/"))
    policy = Policy(logs=(PolicyLog(vkey=LOG, url=url),), witnesses=witnesses, groups=(group,), quorum="g")

    assert parse_policy(format_policy(policy)) == policy


def split_view_possible(first: int, second: int, dishonest: int, nodes: int = 4) -> bool:
    """Tries every way in which honest nodes cosign one branch each and dishonest ones both."""
    for choice in product((0, 1), repeat=nodes - dishonest):
        left = dishonest + choice.count(0)
        right = dishonest + choice.count(1)
        if left >= first and right >= second:
            return True
    return False


@pytest.mark.parametrize(
    ("first", "second", "strongest"),
    [(2, 2, -1), (3, 3, 1), (4, 4, 3), (3, 4, 2)],
    ids=["2 of 4", "3 of 4", "4 of 4", "dual 3 and 4"],
)
def test_quorum_table_is_what_brute_force_finds(first, second, strongest):
    """A split view is impossible exactly when k1 + k2 > n + f; the table of the reference says up to which f."""
    for dishonest in range(5):
        possible = split_view_possible(first, second, dishonest)
        assert possible is (first + second <= 4 + dishonest)
        assert possible is (dishonest > strongest)


def test_quorum_two_of_the_three_others_is_as_strong_as_three_of_four():
    """With the owner dishonest, 2 of the 3 others withstand the owner alone and break with one peer more."""
    assert not split_view_possible(2, 2, 0, nodes=3)
    assert split_view_possible(2, 2, 1, nodes=3)


@pytest.mark.parametrize(("dishonest", "first_fooled", "second_fooled"), [(2, True, False), (3, True, True)])
def test_quorum_attack_by_owner_and_peers(dishonest, first_fooled, second_fooled):
    """Owner + 1 fools receivers (k1 = 3) and not the auditor (k2 = 4); owner + 2 fools both: the honest limit."""
    assert split_view_possible(3, 3, dishonest) is first_fooled
    assert split_view_possible(3, 4, dishonest) is second_fooled
