"""The recipe language, the stage graph, keys and the artifact store: plans and records, never starts a process."""
