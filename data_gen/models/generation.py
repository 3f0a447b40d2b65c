"""Generation configs that transformers loads and refuses to save, such as a temperature beside `do_sample: false`."""

from __future__ import annotations

from typing import Any

_FIRST = ("do_sample", "num_beams", "use_cache", "return_dict_in_generate", "suppress_tokens")
"""Fields that decide whether others fit."""


def mended(config: Any) -> tuple[Any, list[str]]:
    """A generation config that can be saved, and the fields that were left out for it, in order of their names.

    A field is left out if transformers refuses it beside the fields that decide about it: flags of sampling without
    sampling, flags of beams without beams.
    """
    if _fits(config):
        return config, []
    given = {name: value for name, value in config.to_diff_dict().items() if name != "transformers_version"}
    fresh, dropped = type(config)(), list[str]()
    for name in sorted(given, key=lambda name: (name not in _FIRST, name)):
        default = getattr(fresh, name, None)
        setattr(fresh, name, given[name])
        if not _fits(fresh):
            setattr(fresh, name, default)
            dropped.append(name)
    return fresh, dropped


def with_mended_generation(model: Any) -> Any:
    """The model, ready to be saved."""
    if getattr(model, "generation_config", None) is not None:
        model.generation_config, _ = mended(model.generation_config)
    return model


def _fits(config: Any) -> bool:
    try:
        config.validate(strict=True)
    except ValueError:
        return False
    return True
