"""Solutions into other solutions to train on: pure functions of (problem, rows, rng), one file each.

A file of this folder, or one of a user's package behind the entry-point group `data_gen.transforms`, adds one:

    @TRANSFORMS.register("keep_last")
    class KeepLast(Transform):
        uses: Literal["keep_last"] = "keep_last"
        n: int = 1

        def __call__(self, problem, rows, rng):
            return [retold(row, last_steps(row, self.n)) for row in rows]
"""

from data_gen.registry import Registry
from data_gen.transforms.base import Transform

TRANSFORMS: Registry[type[Transform]] = Registry(
    "transform", package="data_gen.transforms", group="data_gen.transforms"
)
"""Name -> transform."""
