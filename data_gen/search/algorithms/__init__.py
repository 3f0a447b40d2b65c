"""The searches, one file each. They register themselves with `SEARCHES`."""
