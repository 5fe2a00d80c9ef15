"""Floor 1: how it is exchanged. Pure: no clock, no files, no sockets; `now` is an argument."""
