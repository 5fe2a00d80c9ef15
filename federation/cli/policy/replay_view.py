"""What came of deciding a log again, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from federation.cli.options import Form
from federation.cli.show import JsonOut, show_json, show_table
from federation.node.log.replay import Difference, Replay
from federation.protocol.ids import format_time
from federation.protocol.leaf import Leaf, Verdict


def show_replay(found: Replay, form: Form, *, drafted: bool) -> None:
    """Prints a replay; `drafted` says that a draft was compared, even if it changes nothing."""
    if form is Form.JSON:
        changed: JsonOut = [_difference_value(each) for each in found.changed]
        show_json({**replay_value(found), **({"changed_by_draft": changed} if drafted else {})})
        return
    print(f"decisions   {found.decisions} in the log, with {found.questions} questions to policy")
    print(f"reproduced  {found.reproduced} by policy")
    print(f"by rule     {format_rules(found.by_rule)}")
    print(f"no inputs   {len(found.without_inputs)}")
    _show_without(found.without_inputs)
    print(f"differ      {len(found.differing)}")
    _show_differences(found.differing)
    if drafted:
        print(f"the draft   changes {len(found.changed)}")
        _show_differences(found.changed)


def replay_value(found: Replay) -> dict[str, JsonOut]:
    """A replay as JSON, without what a draft changes."""
    without: JsonOut = [
        {"time": format_time(leaf.time), "subject": leaf.subject, "policies": list(leaf.policies)}
        for leaf in found.without_inputs
    ]
    return {
        "decisions": found.decisions,
        "questions": found.questions,
        "reproduced": found.reproduced,
        "by_rule": dict(found.by_rule),
        "without_inputs": without,
        "differing": [_difference_value(each) for each in found.differing],
    }


def format_rules(by_rule: Mapping[str, int]) -> str:
    """How many decisions were rules', and how many each rule's: `3: reply-to-own-request 3`."""
    named = ", ".join(f"{name} {count}" for name, count in by_rule.items())
    return f"{sum(by_rule.values())}{': ' if named else ''}{named}"


def _show_without(leaves: Sequence[Leaf]) -> None:
    rows = [(format_time(leaf.time), leaf.subject[:16], _said(leaf.verdict, leaf.policies)) for leaf in leaves]
    if rows:
        show_table(("time", "message", "was"), rows)


def _show_differences(differences: Sequence[Difference]) -> None:
    """One line for each way to differ, with the first message of its kind: a bulk of like messages differs alike."""
    first: dict[tuple[str, str, str], Difference] = {}
    counts: dict[tuple[str, str, str], int] = {}
    for each in differences:
        way = (each.action or "its leaf", _said(*each.was), _said(each.now.verdict, each.now.policies))
        first.setdefault(way, each)
        counts[way] = counts.get(way, 0) + 1
    rows = [
        (format_time(each.time), each.subject[:16], str(counts[action, was, now]), action, was, now)
        for (action, was, now), each in first.items()
    ]
    if rows:
        show_table(("first at", "first message", "how many", "action", "was", "would be"), rows)


def _said(verdict: Verdict | None, policies: Sequence[str]) -> str:
    return f"{verdict.value if verdict else 'nothing'}: {', '.join(policies)}"


def _difference_value(found: Difference) -> JsonOut:
    verdict, policies = found.was
    return {
        "time": format_time(found.time),
        "subject": found.subject,
        "agreement_version": found.agreement_version,
        "action": found.action,
        "was": {"verdict": verdict.value if verdict else None, "policies": list(policies)},
        "now": {"verdict": found.now.verdict.value, "policies": list(found.now.policies)},
    }
