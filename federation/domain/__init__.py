"""Floor 2: what is exchanged. Pure: no clock, no files, no sockets; `now` is an argument."""
