"""Transforms turn solutions into other training solutions. Each is a pure function of (problem, rows, rng) in its own
file.

A file of this folder adds one, as does a module of a user's package under the entry-point group `data_gen.transforms`:

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
