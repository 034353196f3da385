"""What keeps a project from running on after a kill, a crash or a bad disk: found, and mended where that is safe."""

from pathlib import Path

from pipeline.doctor.finding import Finding, found, well
from pipeline.errors import PipelineError


def examine(*, mend: bool = True) -> tuple[str, bool]:
    """Look at the installed packages and at the project in the working folder, and mend what can be.

    Nothing that a person wrote is touched, and nothing at all while a process works in the project. Without a project
    only the packages are looked at.

    Returns
    -------
    tuple
        What to say, a line for each finding, and whether all is well now.
    """
    findings = [_packages(), *_project(mend=mend)]
    return "\n".join(str(one) for one in findings), all(one.is_well for one in findings)


def _packages() -> Finding:
    """The packages that have to go together."""
    from pipeline.models.networks import network_names

    try:
        return well(f"torch and torchvision match: {len(network_names())} networks to choose from")
    except PipelineError as error:
        return found(str(error))


def _project(*, mend: bool) -> list[Finding]:
    from pipeline.doctor.locks import look_at_locks, look_at_stages
    from pipeline.doctor.outputs import look_at_outputs
    from pipeline.doctor.processes import look_for_processes
    from pipeline.doctor.recordings import look_at_recordings
    from pipeline.doctor.remains import look_for_remains, look_for_room

    if not Path("dvc.yaml").is_file():
        return [well("no dvc.yaml in this folder: only packages were looked at; in a project run from its folder")]
    if at_work := look_for_processes():
        return at_work
    findings = [*look_for_room(), *look_for_remains(mend=mend), *look_at_recordings()]
    if not Path(".dvc").is_dir():
        return [*findings, found("no folder .dvc: this is no clone of the project: run `git clone`, or `dvc init`")]
    if faults := look_at_stages():
        return [*findings, *faults]
    findings += look_at_locks(mend=mend)
    if all(one.is_well for one in findings):
        findings += look_at_outputs(mend=mend)
    return findings
