"""Answer checking: exact readings of choices and numbers first, symbolic comparison in a killable process last."""
