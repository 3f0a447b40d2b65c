"""Answer checking: first exact readings of choices and numbers, then symbolic comparison and generators' scorers in a
process that can be killed."""
