"""The whole check of a store: the tree of its log, too."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from federation.node.log.check import check_store
from federation.store.database import open_database
from federation.store.row_check import RowFinding
from tests.store.samples import KEYS, grow


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE log_checkpoint SET root = zeroblob(32) WHERE size = 2", "LOG_CHECKPOINT"),
        ("UPDATE log_leaf SET entry = X'00' WHERE leaf_index = 1", "LOG_CHECKPOINT"),
        ("DELETE FROM log_leaf WHERE leaf_index = 1", "LOG_ENTRY"),
    ],
)
def test_check_of_a_store_computes_the_tree_again(change, reason, tmp_path):
    """An entry or a head that was changed is named, whatever the edge of the tree says."""
    database = open_database(f"sqlite:///{tmp_path}/node.db", keys=KEYS)
    for number in range(3):
        grow(database, [number])
    trees = [each for each in check_store(database, None).findings if each.name]
    assert trees == []

    with database.writing() as connection:
        connection.execute(text(change))

    assert RowFinding("changed", "log-leaf", reason) in check_store(database, None).findings
    database.close()
