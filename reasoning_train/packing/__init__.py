"""Packs several training rows into one without letting them attend to each other."""
