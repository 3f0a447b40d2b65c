"""Putting several training rows into one, without letting them see each other."""
