"""The case tables: what the policies must say of invented cases, as non-programmers write them in TOML."""
