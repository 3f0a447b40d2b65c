"""Votes: how final paths, or a pool of solutions, become one answer; one file a rule."""

from data_gen.search.votes.base import VOTES, Ballot, Candidate, Elected, Same, ScoredVote, Vote, elect

__all__ = ["VOTES", "Ballot", "Candidate", "Elected", "Same", "ScoredVote", "Vote", "elect"]
