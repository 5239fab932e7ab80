"""Let a fine-tuning that ran out of memory go on from its checkpoint with a plan that needs less.

Knows the folder of one job; whether it is done at once or on a click is for others to say.
"""

from desktop_app.domain.finetune_spec import FinetuneSpec
from desktop_app.domain.smaller_plan import SmallerPlan, smaller_plan
from desktop_app.errors import AppError, JobError
from desktop_app.job_folder import JobFolder, Outcome

MEMORY_ERROR = "memory"


def next_plan(folder: JobFolder) -> SmallerPlan | None:
    """Return what would be changed next, None where nothing is left or the job is no fine-tuning."""
    try:
        spec = folder.read_spec()
    except AppError:
        return None
    return smaller_plan(spec, folder.read_plan()) if isinstance(spec, FinetuneSpec) else None


def shrink(folder: JobFolder) -> SmallerPlan:
    """Write the next smaller plan into the folder; the next worker follows it.

    Raises:
        JobError: the plan cannot become smaller.
    """
    plan = next_plan(folder)
    if plan is None:
        raise JobError(
            f"Job {folder.id} cannot be made smaller: batch, length and optimizer are the smallest already.",
            "Use QLoRA or a smaller model, or close other programs.",
        )
    folder.write_plan(plan)
    return plan


def goes_on_by_itself(folder: JobFolder, outcome: Outcome) -> bool:
    """Whether a job that just ended is to go on at once with a smaller plan; then the plan stands in its folder."""
    if outcome.error != MEMORY_ERROR:
        return False
    try:
        spec = folder.read_spec()
        if not isinstance(spec, FinetuneSpec) or spec.on_out_of_memory != "smaller":
            return False
        shrink(folder)
        folder.forget_process()
    except (AppError, OSError):
        return False
    return True
