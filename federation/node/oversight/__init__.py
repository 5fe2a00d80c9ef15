"""The watch over look-ups: flags, broken glass, countersignatures, the sample, digests, and who read what of it."""
