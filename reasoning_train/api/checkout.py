"""Where the recipes and configs that come with the program lie."""

from __future__ import annotations

from pathlib import Path

import reasoning_train

CHECKOUT = Path(reasoning_train.__file__).parent.parent
"""Folder of the packaged `configs/` and `recipes/`."""
