"""Procedures as files, and what their check finds in them."""

import re
from pathlib import Path

import pytest

from federation.domain import procedure_check
from federation.domain.clock import CLOCKS_FILE, parse_clocks
from federation.domain.findings import WORDS
from federation.domain.policy_check import verify_policies
from federation.domain.procedure import PROCEDURES, parse_procedure, procedure_names, read_rules
from federation.domain.procedure_check import check_procedures, find_faults
from federation.protocol.errors import MalformedError, NotFoundError, RuleError
from tests.domain.case_builder import FILES

DISPUTE = f"{PROCEDURES}dispute-mediation.toml"


def small(**changes):
    """A procedure of two stages, with the text of some parts changed."""
    parts = {
        "first": 'id = "first"\nentry = true\nacts = ["register", "add_party"]\nleave = ["place_named"]\nnext = ["last"]\n',
        "last": 'id = "last"\nacts = ["archive", "set_retention"]\nleave = ["retention_set"]\nnext = ["end"]\n',
        "outcome": 'id = "done"\nzh = "办结"\nen = "Done"\nstage = "last"\n',
        "event": 'id = "visit.recorded"\nstages = ["last"]\n',
        "deadline": 'clock = "dispute.archive", starts_on = "visit.recorded", on_breach = "report"',
        "classes": 'A = "all"\n',
        "class": "party",
        "more": "",
    } | changes
    stages = "".join(
        f'[[stage]]\nzh = "一"\nen = "One"\nwho = ["town"]\ntier = "T"\n{parts[name]}' for name in ("first", "last")
    )
    return (
        'name = "small"\ntitle_zh = "小"\ntitle_en = "Small"\npurpose = "x.y"\nfunction = "F09"\nofficial = false\n'
        'source = "x"\nretention = "case.civil"\n[[role]]\nid = "town"\nzh = "乡镇"\nen = "town"\nkinds = ["town"]\n'
        f'side = "any"\n{stages}deadline = [{{ {parts["deadline"]} }}]\n[[outcome]]\n{parts["outcome"]}'
        f"[[event]]\n{parts['event']}{parts['more']}[classes.{parts['class']}]\n{parts['classes']}"
    )


def faults(text):
    clocks = parse_clocks(FILES[CLOCKS_FILE].decode())
    return {(found.what, found.name) for found in find_faults(parse_procedure(text, "small"), clocks)}


def test_every_procedure_of_the_repository_passes():
    """Files, clocks, retention, functions and kinds of agency agree with each other."""
    checks = list(check_procedures(FILES))
    assert [check.name for check in checks] == procedure_names(FILES)
    assert "dispute-mediation" in procedure_names(FILES)
    assert {str(finding) for check in checks for finding in check.findings} == set()


def test_a_small_procedure_passes():
    """Or the faults below would be those of the frame."""
    assert faults(small()) == set()


FIRST = 'id = "first"\nentry = true\nacts = ["register", "add_party"]\nleave = ["place_named"]\nnext = ["last"]\n'
LAST = 'id = "last"\nacts = ["archive", "set_retention"]\nleave = ["retention_set"]\nnext = ["end"]\n'


@pytest.mark.parametrize(
    ("changes", "what", "name"),
    [
        ({"first": FIRST.replace('"register"', '"registration"')}, "ACT_UNKNOWN", "registration"),
        ({"first": FIRST.replace("place_named", "place_nmed")}, "CONDITION_UNKNOWN", "place_nmed"),
        ({"first": FIRST.replace('"last"', '"lost"')}, "STAGE_UNKNOWN", "lost"),
        ({"first": FIRST + 'by = { register = ["court"] }\n'}, "ROLE_NOT_HERE", "court"),
        ({"first": FIRST + 'by = { hear = ["town"] }\n'}, "ACT_NOT_HERE", "hear"),
        ({"last": LAST.replace('id = "last"', 'id = "first"')}, "TWICE", "first"),
        ({"last": LAST.replace('id = "last"', 'id = "end"')}, "RESERVED", "end"),
        ({"first": FIRST.replace("entry = true\n", "")}, "NO_ENTRY", ""),
        ({"last": LAST.replace('"end"', '"first"')}, "DEAD_END", ""),
        ({"first": FIRST.replace('next = ["last"]', 'next = ["end"]')}, "UNREACHABLE", ""),
        ({"first": FIRST.replace('"last"', '"first", "last"')}, "NEXT_ITSELF", ""),
        ({"first": FIRST.replace('"last"', '"last", "end"')}, "END_NOWHERE", ""),
        ({"outcome": 'id = "done"\nzh = "办结"\nen = "Done"\nstage = "first"\n'}, "OUTCOME_NOT_HERE", ""),
        ({"first": FIRST.replace("place_named", "both_heard")}, "CANNOT_HOLD", "both_heard"),
        ({"first": FIRST.replace("place_named", "retention_set")}, "CANNOT_HOLD", "retention_set"),
        ({"last": LAST + 'enter = ["retention_set"]\n'}, "CANNOT_HOLD", "retention_set"),
        ({"first": FIRST + 'enter = ["place_named"]\n'}, "CANNOT_HOLD", "place_named"),
        ({"more": '[[gate]]\nact = "archive"\nneeds = ["performed"]\n'}, "CANNOT_HOLD", "performed"),
        ({"last": LAST + 'enter = ["confirmation_in_time"]\n'}, "CLOCK_NOT_HERE", "confirmation_in_time"),
        ({"deadline": 'clock = "x.y", starts_on = "visit.recorded", on_breach = "report"'}, "CLOCK_UNKNOWN", "x.y"),
        ({"deadline": 'clock = "dispute.archive", starts_on = "a.b", on_breach = "report"'}, "CLOCK_OTHER", "dispute.archive"),
        ({"deadline": 'clock = "dispute.archive", starts_on = "visit.recorded", on_breach = "close"'}, "CLOCK_OTHER", "dispute.archive"),
        ({"event": 'id = "visit.paid"\nstages = ["last"]\n'}, "CLOCK_NEVER_STARTS", "dispute.archive"),
        ({"event": 'id = "visit.paid"\nstages = ["last"]\n'}, "EVENT_UNREAD", ""),
        ({"deadline": 'clock = "dispute.sign", starts_on = "proposal.accepted", on_breach = "report"'}, "CLOCK_NEVER_STOPS", "dispute.sign"),
        ({"event": 'id = "visit.recorded"\nacts = ["record_visit"]\n'}, "ACT_NOT_HERE", "record_visit"),
        ({"event": 'id = "visit.recorded"\nwhen = "both_heard"\n'}, "EVENT_NEVER", ""),
        ({"event": 'id = "visit.recorded"\nacts = ["archive"]\nat = "noon"\n'}, "FIELD_UNKNOWN", "noon"),
        ({"event": 'id = "case.closed"\nacts = ["archive"]\n'}, "RESERVED", ""),
        ({"class": "gossip"}, "CLASS_UNKNOWN", ""),
        ({"class": "note"}, "CLASS_NEVER", ""),
        ({"class": "session"}, "CLASS_UNCARRIED", ""),
        ({"classes": 'A = ["shoe_size"]\n'}, "FIELD_UNKNOWN", "shoe_size"),
        ({"classes": 'mayor = "all"\n'}, "ROLE_UNKNOWN", "mayor"),
        ({"classes": "town = []\n"}, "CLASS_UNSEEN", ""),
        ({"first": FIRST + 'trace_zh = "一"\n'}, "WORDS", ""),
        ({"first": FIRST + 'trace_zh = "{name}"\ntrace_en = "x"\n'}, "TRACE_UNKNOWN", "name"),
        ({"outcome": 'id = "done"\nzh = ""\nen = "Done"\nstage = "last"\n'}, "WORDS", ""),
    ],
)  # fmt: skip
def test_the_check_finds_what_could_never_happen_or_is_read_by_nobody(changes, what, name):
    """Each fault by its own word."""
    assert (what, name) in faults(small(**changes))


def test_every_fault_has_its_words():
    """Both languages, sorted out by the word of the fault."""
    source = Path(procedure_check.__file__).read_text("utf-8")
    assert set(re.findall(r'what="([A-Z_]+)"', source)) <= WORDS.keys()


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('retention = "case.civil"', 'retention = "case.evil"', "RETENTION_UNKNOWN"),
        ('function = "F09"', 'function = "F99"', "FUNCTION_UNKNOWN"),
        ('kinds = ["village"]', 'kinds = ["hamlet"]', "AGENCY_KIND"),
        ('side = "B"', 'side = "C"', "TOML_CHOICE"),
        ("official = false", "officious = false", "TOML_TYPE"),
    ],
)
def test_a_procedure_that_the_other_files_do_not_know_is_not_agreed_on(old, new, what):
    """Neither `policy check` nor a draft of an agreement takes it."""
    altered = FILES[DISPUTE].decode().replace(old, new, 1).encode()
    assert altered != FILES[DISPUTE]
    found = [fault.what for check in check_procedures({**FILES, DISPUTE: altered}) for fault in check.findings]
    assert found == [what]
    with pytest.raises(RuleError) as caught:
        verify_policies({**FILES, DISPUTE: altered})
    assert caught.value.reason == "POLICY_CHECK"
    assert "dispute-mediation" in str(caught.value)


def test_an_agreement_without_procedures_stays_valid():
    """Those before joint cases have none."""
    before = {path: content for path, content in FILES.items() if not path.startswith(PROCEDURES)}
    verify_policies(before)
    assert procedure_names(before) == []
    with pytest.raises(NotFoundError) as caught:
        read_rules(before, "dispute-mediation")
    assert caught.value.reason == "PROCEDURE_UNKNOWN"


def test_a_procedure_stands_in_the_file_of_its_name():
    """A case names the procedure, and the file is found by it."""
    with pytest.raises(MalformedError) as caught:
        parse_procedure(small(), "other")
    assert caught.value.reason == "PROCEDURE_NAME"


def test_who_sees_what_of_a_class():
    """All of side A where it is named; the others by their role; who is not named gets nothing."""
    procedure = read_rules(FILES, "dispute-mediation").procedure
    assert "number" in procedure.seen("party", ["village"], "A")
    assert procedure.seen("party", ["village"], "B") == {"name"}
    assert procedure.seen("party", ["peer", "court"], "B") == procedure.seen("party", ["court"], "B")
    assert procedure.seen("contact", ["village"], "A") == frozenset()
    assert procedure.seen("informer", ["court"], "A") == frozenset()


def test_a_procedure_has_at_most_250_lines():
    """What a further one costs: a file that is read in one sitting."""
    lines = {path: content.count(b"\n") for path, content in FILES.items() if path.startswith(PROCEDURES)}
    assert len(lines) > 10
    assert not {path for path, count in lines.items() if count > 250}


def test_a_clock_before_the_one_of_the_stage_has_its_line_in_both_languages():
    """One language alone, and words in braces that nobody fills, are found."""
    for old, new, what in (
        (' trace_en = "Small claim: the court says by {due} whether it files the suit"', ' trace_en = ""', "WORDS"),
        ("法院应于{due}前决定是否立案", "法院应于{agency}前决定是否立案", "TRACE_UNKNOWN"),
    ):
        path = f"{PROCEDURES}wage-claim.toml"
        altered = FILES[path].decode().replace(old, new, 1).encode()
        assert altered != FILES[path]
        [check] = [each for each in check_procedures({**FILES, path: altered}) if each.name == "wage-claim"]
        assert [fault.what for fault in check.findings] == [what]


def test_a_clock_that_a_person_meets_has_words_in_both_languages():
    """A row without them is a fault of the procedure that reads it."""
    path = "policies/clocks.toml"
    altered = (
        FILES[path]
        .decode()
        .replace('id = "letter.intake", zh = "归口审核"', 'id = "letter.intake", zh = ""', 1)
        .encode()
    )
    assert altered != FILES[path]
    found = {
        check.name: [str(fault) for fault in check.findings] for check in check_procedures({**FILES, path: altered})
    }
    assert "letter.intake" in found["police-letter-check"][0]
    assert found["wage-claim"] == []
