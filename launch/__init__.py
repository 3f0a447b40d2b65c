"""The `reasoning-train` command and the runners that start a stage's process."""
