"""Tests of data_gen/models."""
