"""The parts of an OOXML package: how they are found by their relations, and what is among them besides cells.

Macros, objects and links are never run, opened or followed. Also a package laid out as the first reader looks for it, which knows the
usual names only.
"""

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from pipelines.workbooks.second_reading.cells import Contradiction
from pipelines.workbooks.second_reading.xlsb import is_dde_link12
from pipelines.workbooks.second_reading.xml_walk import Walk

#: Where the workbook usually lies.
_USUAL_MAIN = ("xl/workbook.xml", "workbook.xml", "xl/workbook.bin")
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


@dataclass(frozen=True)
class Relation:
    """`kind`: the last word of its type, such as worksheet; `part`: the name of the part it points at."""

    id: str
    kind: str
    part: str


class _Relations(Walk):
    """Found holds the attributes of each relation."""

    namespaces = frozenset([f"{_PACKAGE}/relationships"])

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            self.found.append(attributes)


def relations_in(content: bytes) -> list[dict[str, str]]:
    """The attributes of every relation in a part of relations, external ones too. Raises Contradiction for what is no XML."""
    return list(_Relations().over(content))


def relations_of(archive: zipfile.ZipFile, names: dict[str, str], part: str) -> list[Relation]:
    """The relations of a part, or with a blank name of the package. Raises Contradiction where there are none.

    `names`: names with forward slashes → names in the archive.
    """
    folder, _, name = part.rpartition("/")
    member = stored(names, f"{folder}/_rels/{name}.rels" if folder else f"_rels/{name}.rels")
    if member is None:
        raise Contradiction(f"缺少 {part or '整个文件'} 的关系表")
    return [
        Relation(one.get("Id", ""), one.get("Type", "").rpartition("/")[2], target_part(part, one.get("Target", "")))
        for one in relations_in(archive.read(names[member]))
        if one.get("TargetMode") != "External"
    ]


def stored(names: dict[str, str], part: str) -> str | None:
    """A part's name as the archive spells it: parts are the same whatever the case of their letters."""
    if part in names:
        return part
    return next((name for name in names if name.lower() == part.lower()), None)


def main_part(archive: zipfile.ZipFile, names: dict[str, str]) -> str | None:
    """The part that the package says is its document, else one that lies where a workbook does; None: there is none."""
    try:
        related = [one.part for one in relations_of(archive, names, "") if one.kind == "officeDocument"]
    except Contradiction:
        related = []
    return next((name for part in (*related, *_USUAL_MAIN) if (name := stored(names, part))), None)


def table_parts(archive: zipfile.ZipFile, names: dict[str, str], sheet_part: str) -> list[bytes]:
    """The parts of the table objects of a sheet; most sheets have none, and no relations at all."""
    try:
        relations = relations_of(archive, names, sheet_part)
    except Contradiction:
        return []
    found = dict.fromkeys(stored(names, one.part) for one in relations if one.kind == "table")
    return [archive.read(names[name]) for name in found if name]


def related_part(relations: Sequence[Relation], names: dict[str, str], kind: str, usual: str) -> str | None:
    """The one part of a kind: as related, or where it usually lies when the relation is wrong or missing."""
    related = next((name for one in relations if one.kind == kind and (name := stored(names, one.part))), None)
    return related or stored(names, usual)


def is_usual(main: str, relations: Sequence[Relation], names: dict[str, str]) -> bool:
    """Whether the first reader finds the workbook and its sheets by itself."""
    return main in _USUAL_MAIN and all(
        one.part in names and (one.part.startswith("xl/") or "/" not in main)
        for one in relations
        if one.kind == "worksheet"
    )


def laid_out_as_usual(
    archive: zipfile.ZipFile,
    names: dict[str, str],
    relations: Sequence[Relation],
    main: bytes,
    extension: str,
) -> io.BytesIO:
    """A package with the same parts under the names at which the first reader looks. `main`: the workbook part; `extension`: xml, bin."""
    target = io.BytesIO()
    written: list[str] = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as usual:
        for number, one in enumerate(relations):
            member = stored(names, one.part)
            if member is None:
                continue
            if one.kind in ("sharedStrings", "styles"):
                place = f"{one.kind}.{extension}"
            else:
                place = f"{'worksheets' if one.kind == 'worksheet' else 'others'}/part{number}.{extension}"
            usual.writestr(f"xl/{place}", archive.read(names[member]))
            written.append(f'<Relationship Id={quoteattr(one.id)} Type="{_OFFICE}/{one.kind}" Target="{place}"/>')
        usual.writestr(f"xl/workbook.{extension}", main)
        usual.writestr(
            f"xl/_rels/workbook.{extension}.rels",
            f'<Relationships xmlns="{_PACKAGE}/relationships">{"".join(written)}</Relationships>',
        )
        usual.writestr("[Content_Types].xml", f'<Types xmlns="{_PACKAGE}/content-types"/>')
        usual.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r" Type="{_OFFICE}/officeDocument" '
            f'Target="xl/workbook.{extension}"/></Relationships>',
        )
    target.seek(0)
    return target


def with_part(archive: zipfile.ZipFile, name: str, content: bytes) -> io.BytesIO:
    """The package with one part replaced."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as changed:
        for member in archive.infolist():
            changed.writestr(member.filename, content if member.filename == name else archive.read(member))
    target.seek(0)
    return target


def plain_workbook(sheets: Sequence[tuple[str, str, str]], from_1904: bool) -> bytes:
    """A workbook part that says no more than (name, relation id, state) of each sheet, and from when days count."""
    written = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{number}" state={quoteattr(state)} r:id={quoteattr(relation_id)}/>'
        for number, (name, relation_id, state) in enumerate(sheets, start=1)
    )
    return (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><workbookPr date1904="{int(from_1904)}"/>'
        f"<sheets>{written}</sheets></workbook>"
    ).encode()


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
