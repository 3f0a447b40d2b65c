"""The profile of a cluster: a YAML file that says how to request its jobs. Each site has one, independent of
recipes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from data_gen.errors import nearest
from reasoning_train.api.checkout import CHECKOUT
from reasoning_train.recipe.errors import Problems, RecipeError
from reasoning_train.recipe.schema import Clock
from reasoning_train.recipe.validate import validate
from reasoning_train.recipe.yaml_core import read_yaml


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Container(_Part):
    """The image that every job runs in, e.g. `Container(image="/images/train.sqsh", mounts=("/data:/data",))`."""

    image: str
    mounts: tuple[str, ...] = ()
    """`HOST:INSIDE`. The store and the recipe's files must have the same paths inside."""
    runtime: Literal["pyxis", "apptainer"] = "pyxis"


class Cluster(_Part):
    """E.g. `Cluster(partition="gpu", gpus_per_node=8, gpu_memory_gib=80, cpus_per_node=96)`."""

    description: str = ""
    partition: str | None = None
    light_partition: str | None = None
    """Partition of jobs without GPUs, such as merging and reporting. They get no `qos` and no `constraint`. Default:
    `partition`."""
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gpus_per_node: int = Field(0, ge=0)
    gpu_type: str | None = None
    """As in `--gres=gpu:TYPE:N`."""
    gpu_memory_gib: float = Field(80.0, gt=0)
    gpu_tflops: float = Field(990.0, gt=0)
    """Peak speed of one GPU in dense bfloat16, for the GPU-hours that `plan --cluster` estimates."""
    cpus_per_node: int = Field(1, ge=1)
    memory_per_node_gib: int | None = Field(None, ge=1)
    """Default: jobs request no memory and get the site's default."""
    max_nodes: int | None = Field(None, ge=1)
    """Maximum number of nodes per job."""
    time: Clock = "24:00:00"
    """Time limit of jobs whose stage sets none."""
    max_time: Clock | None = None
    stop_signal: Literal["USR1", "USR2", "HUP", "CONT"] = "USR2"
    """Signal that tells a stage to save and stop. NCCL may use USR1."""
    stop_before_s: int = Field(120, ge=0, le=65535)
    """Seconds before the time limit at which the signal is sent."""
    max_requeues: int = Field(20, ge=0)
    """How often a job may be requeued before it counts as failed."""
    shards: int = Field(8, ge=1)
    """Number of shards of a generating stage that sets none."""
    max_array: int = Field(1000, ge=1)
    """Maximum tasks of one array (MaxArraySize - 1). Larger arrays are split into several."""
    max_running: int | None = Field(None, ge=1)
    """Maximum tasks of one array that run at once."""
    modules: tuple[str, ...] = ()
    """Arguments of `module load`."""
    venv: str | None = None
    """Virtual environment to activate. Default: the Python that submits."""
    container: Container | None = None
    setup: tuple[str, ...] = ()
    """Shell lines to run before the work, unchanged."""
    scratch: str | None = None
    """Folder on the node for temporary files. Variables such as `$SLURM_JOB_ID` are expanded on the node."""
    offline: bool = True
    """Whether jobs run the Hub's libraries in offline mode."""
    env: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = {}
    sbatch: tuple[str, ...] = ()
    """More options of `sbatch`, e.g. `--reservation=NAME`."""
    srun: tuple[str, ...] = ()
    """More options of `srun`."""

    @field_validator("sbatch", "srun")
    @classmethod
    def _options(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        for option in options:
            if not option.startswith("--"):
                raise ValueError(f"expected options such as `--reservation=NAME`, got {option!r}")
        return options

    @field_validator("*")
    @classmethod
    def _one_line(cls, value: Any, info: ValidationInfo) -> Any:
        """What becomes part of a line of a script must not begin another one. Lines of `setup` are shell anyway."""
        if info.field_name not in ("description", "setup"):
            for text in _texts(value):
                if not text.isprintable():
                    raise ValueError(f"expected one line without control characters, got {text!r}")
        return value

    @model_validator(mode="after")
    def _one_python(self) -> Cluster:
        if self.venv and self.container:
            raise ValueError("give `venv` or `container`, not both")
        return self


def _texts(value: Any) -> Iterator[str]:
    """All texts in a field's value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Container):
        yield from (value.image, *value.mounts)
    elif isinstance(value, dict):
        yield from (*value, *value.values())
    elif isinstance(value, tuple):
        yield from value


def load_cluster(path: Path) -> Cluster:
    """The profile in a file. RecipeError with every problem; if a parameter is unknown, it lists the valid ones."""
    shipped = sorted((CHECKOUT / "configs" / "clusters").glob("*.yaml"))
    if not path.is_file():
        names = [str(found.relative_to(CHECKOUT)) for found in shipped]
        raise RecipeError(
            f"--cluster: there is no file {path}.{nearest(str(path), names)} Shipped: {', '.join(names)}."
        )
    document = read_yaml(path, str(path))
    problems = Problems(document.origins, str(path))
    found = validate(Cluster, document.value, "", problems, " of a cluster's profile")
    try:
        problems.raise_if_any()
    except RecipeError as error:
        if "unknown key" in str(error):
            raise RecipeError(f"{error}\nvalid parameters:\n{parameters()}") from None
        raise
    assert found is not None, "a profile that does not fit has problems"
    return found


def parameters() -> str:
    """Every parameter with its default, one per line."""
    lines = []
    for name, field in Cluster.model_fields.items():
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        lines.append(f"  {name}: {'' if default is None else default}".rstrip())
    return "\n".join(lines)
