"""Answer checking: exact readings of choices and numbers first, symbolic comparison and generators' scorers in a
killable process last."""
