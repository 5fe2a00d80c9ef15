"""Every decision that a node keeps."""

from __future__ import annotations

from collections.abc import Iterator

from federation.node.log.decisions import DECISION, StoredDecision, find_decision
from federation.store.database import Source
from federation.store.records import list_records


def list_decisions(source: Source) -> Iterator[StoredDecision]:
    """Every kept decision, in the order of the subjects' digests."""
    for record in list_records(source, DECISION, after_id="", limit=10_000, replica=True):
        found = find_decision(source, record.id)
        assert found is not None
        yield found
