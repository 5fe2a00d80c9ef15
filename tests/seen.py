"""The characters that a text of an item may hold."""

from hypothesis import strategies as st

SEEN = st.characters(exclude_categories=["Cc", "Cf", "Zl", "Zp", "Cs", "Cn"])
