"""Scorers: verifiers, value heads, rollouts, self-evaluation, exact checkers. There is one file per scorer."""

from data_gen.scorers.base import SCORERS, GrantedGold, Rollout, Score, Scorer, ScorerConfig, Tools

__all__ = ["SCORERS", "GrantedGold", "Rollout", "Score", "Scorer", "ScorerConfig", "Tools"]
