"""The subcommands of `reasoning-train`, one module each with `add(subparsers)`. None has heavy imports at the top
level."""
