"""Known answers: what every piece makes of a tiny case, beside its version and its defaults, in one file.

A version says which artifacts are still good. What guards it is behaviour: `answers.json` holds the outcome of each
piece's case; where the outcome or a default changes while the version stays, a test fails.
"""
