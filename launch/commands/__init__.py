"""The subcommands of `reasoning-train`: one module each, with `add(subparsers)`; none imports anything heavy at top
level."""
