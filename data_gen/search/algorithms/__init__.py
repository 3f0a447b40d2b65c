"""The searches, one file each; they register themselves with `SEARCHES`."""
