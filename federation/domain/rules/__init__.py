"""Rules that are data: the calendar, the clocks and the register of functions, read from `policies/*.toml`."""
