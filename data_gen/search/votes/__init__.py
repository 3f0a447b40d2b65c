"""Votes reduce final paths, or a pool of solutions, to one answer. There is one file per rule."""

from data_gen.search.votes.base import VOTES, Ballot, Candidate, ClassOf, Elected, ScoredVote, Vote
from data_gen.search.votes.elect import elect

__all__ = ["VOTES", "Ballot", "Candidate", "ClassOf", "Elected", "ScoredVote", "Vote", "elect"]
