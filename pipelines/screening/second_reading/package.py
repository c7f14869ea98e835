"""What a package holds besides cells: macros, objects and links, which are never run, opened or followed; and how its parts are named."""

import zipfile
from collections.abc import Iterable

from pipelines.screening.second_reading.xlsb import is_dde_link12


def package_remarks(names: Iterable[str]) -> dict[str, str]:
    """What a package holds that is never run or opened: rule id → which part."""
    remarks: dict[str, str] = {}
    for name in sorted(names):
        lowered = name.lower()
        if (
            lowered.endswith("vbaproject.bin")
            or "/macrosheets/" in lowered
            or lowered.startswith(("basic/", "scripts/"))
        ):
            remarks.setdefault("FILE-0-macros", name)
        elif (
            "/embeddings/" in lowered
            or "/activex/" in lowered
            or lowered.startswith("object ")
            or lowered.endswith(("xl/connections.xml", "xl/connections.bin"))
        ):
            remarks.setdefault("FILE-0-embedded", name)
    return remarks


def target_part(part: str, target: str) -> str:
    """The name of the part that a relation of `part` points at with `target`; no step leads out of the package."""
    target = target.replace("\\", "/")
    path = target if target.startswith("/") else f"{part.rpartition('/')[0]}/{target}"
    steps: list[str] = []
    for step in path.split("/"):
        if step == "..":
            steps = steps[:-1]
        elif step not in ("", "."):
            steps.append(step)
    return "/".join(steps)


def active_link(archive: zipfile.ZipFile, names: dict[str, str]) -> str | None:
    """The first external link part that is a DDE or OLE link, which a program would follow on opening."""
    for name in sorted(names):
        if "/externallinks/" not in name.lower() or name.lower().endswith(".rels"):
            continue
        content = archive.read(names[name])
        if (name.endswith(".bin") and is_dde_link12(content)) or b"ddeLink" in content or b"oleLink" in content:
            return name
    return None
