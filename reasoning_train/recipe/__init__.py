"""The recipe language, the stage graph and keys: it makes plans and never starts a process."""
