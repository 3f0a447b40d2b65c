"""Tests of prompt programs."""
