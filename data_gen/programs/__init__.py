"""Prompt programs: strategies that turn a problem into solutions, one async function each."""
