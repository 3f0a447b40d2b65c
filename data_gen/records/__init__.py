"""The rows that stages exchange: problems, solutions, trees, pairs, targets, verdicts."""
