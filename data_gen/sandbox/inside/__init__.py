"""Scripts that run in jails, by their paths. They import the standard library and one another."""
