"""Step forms: how a file writes solutions whose steps are labelled right or wrong. There is one file per form; the
stage `import_steps` reads by them."""

from data_gen.registry import Registry
from data_gen.step_forms.base import LabelledSteps, StepForm

STEP_FORMS: Registry[type[StepForm]] = Registry("step form", package="data_gen.step_forms", group="data_gen.step_forms")
"""Name -> StepForm subclass. Register with `@STEP_FORMS.register("name")` in a file of this folder."""

__all__ = ["STEP_FORMS", "LabelledSteps", "StepForm"]
