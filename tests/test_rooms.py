"""The rooms of the house: each imports only those that come before it, also where an import stands inside a function."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "pipelines"
#: As `pipelines/__init__.py` tells them. Rooms in one tuple lie side by side.
ROOMS = (
    ("characters", "files", "times", "yaml_files", "rule_files"),
    ("yaml_mistakes",),
    ("periods", "decisions"),
    ("municipality",),
    ("returns",),
    ("workbooks",),
    ("home",),
    ("declarations",),
    ("policy",),
    ("intake",),
    ("screening",),
    ("warehouse",),
    ("releases",),
    ("answers", "templates"),
    ("exports", "bundle"),
    ("operations",),
    ("orchestration",),
    ("sample", "definitions"),
    ("cli",),
)
FLOOR = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}
#: What opens hostile bytes knows nothing of returns, homes or counties.
ALONE = {"workbooks": {"characters"}}


def imports() -> set[tuple[str, str, str]]:
    """(module, its room, room that it imports)."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        inside = path.relative_to(PACKAGE).with_suffix("").parts
        room = inside[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "pipelines":
                names = [node.module] if node.module != "pipelines" else [f"pipelines.{one.name}" for one in node.names]
            elif isinstance(node, ast.Import):
                names = [one.name for one in node.names if one.name.startswith("pipelines.")]
            for name in names:
                other = name.split(".")[1]
                if other != room:
                    found.add((".".join(inside), room, other))
    return found


def test_every_room_has_its_place():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} == set(FLOOR)


def test_imports_run_one_way():
    against = {(module, other) for module, room, other in imports() if FLOOR[other] >= FLOOR[room]}
    assert against == set()


def test_what_opens_bytes_knows_nothing_of_ours():
    for alone, known in ALONE.items():
        assert {other for _, room, other in imports() if room == alone} <= known
