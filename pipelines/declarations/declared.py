"""All declarations of a home: those that ship, and the families of indicators that lie in the home.

Belongs here: which files there are, their digest, and their rows with every mistake at once.
"""

import hashlib
from pathlib import Path

from pipelines.declarations.families import read_families
from pipelines.declarations.known import KnownPolicy
from pipelines.declarations.names import SHIPPED
from pipelines.declarations.offers import models_folder, offer_rows, read_offers
from pipelines.declarations.tables import TABLES, Row
from pipelines.home import Home
from pipelines.rule_files import definition_files
from pipelines.yaml_mistakes import YamlMistakes


class DeclarationError(YamlMistakes):
    """The declarations of indicators cannot be used; every mistake of all files (Chinese)."""


def own_folder(home: Home) -> Path:
    """Where a home's own families of indicators lie."""
    return home.policy / "indicators"


def declaration_digest(home: Home, policy_digest: str) -> str:
    """Changes whenever a file of the declarations, a definition or the policy does."""
    digest = hashlib.sha256(policy_digest.encode() + str(TABLES).encode())
    folders = (SHIPPED, own_folder(home), models_folder())
    for path in [*(path for folder in folders for path in sorted(folder.glob("*.yaml"))), *definition_files()]:
        digest.update(f"{path.parent.name}/{path.name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def declared_rows(home: Home, known: KnownPolicy) -> dict[str, list[Row]]:
    """The rows of every table of schema `declared`. Raises DeclarationError with all mistakes at once."""
    offers, problems = read_offers()
    rows, more = read_families([SHIPPED, own_folder(home)], offers, known)
    if problems or more:
        raise DeclarationError([*problems, *more])
    return rows | offer_rows(offers)
