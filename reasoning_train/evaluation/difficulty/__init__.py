"""How easy a problem looks from a few samples of it, one file per estimate. None of them sees gold."""

from reasoning_train.evaluation.difficulty.base import DIFFICULTIES, Difficulty, FewSamples

__all__ = ["DIFFICULTIES", "Difficulty", "FewSamples"]
