"""Licences as SPDX expressions: which ones an expression names, and what the strictest of them allows."""

import re

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from pipeline.core.errors import PairtrailError
from schemas.vocabulary import USE_CLASSES

_JOINTS = re.compile(r"[()]|\b(?:AND|OR)\b")
_NONCOMMERCIAL = re.compile(r"-NC\b|-NC-|NonCommercial|^PolyForm-Noncommercial", re.IGNORECASE)
_ACADEMIC = re.compile(r"Academic|Research", re.IGNORECASE)


def licenses_in(expression: str) -> list[str]:
    """Return the licences that an SPDX expression names, sorted, an exception (`WITH`) with its licence.

    All of them count, joined by AND or by OR: what is allowed is what the strictest allows. Raises PairtrailError for
    what is no SPDX expression; a licence that SPDX does not list is written `LicenseRef-NAME`.
    """
    try:
        canonical = canonicalize_license_expression(expression)
    except InvalidLicenseExpression as error:
        msg = "not an SPDX licence expression; a licence that SPDX does not list is written LicenseRef-NAME"
        raise PairtrailError(msg) from error
    return sorted({" ".join(name.split()) for name in _JOINTS.split(canonical) if name.strip()})


def use_class(expression: str) -> str:
    """Say what an expression allows: All, Unspecified, NC or Acad, the strictest of its licences' classes.

    The classes are those of Longpre et al., The Data Provenance Initiative (2023): any use, not stated, non-commercial,
    academic only. SPDX lists licences that allow any use, save those that say NC in their name; of a LicenseRef nothing
    is known but its name.
    """
    return max((_class_of(name) for name in licenses_in(expression)), key=USE_CLASSES.index)


def _class_of(name: str) -> str:
    if name.startswith("LicenseRef-") and _ACADEMIC.search(name):
        return "Acad"
    if _NONCOMMERCIAL.search(name):
        return "NC"
    return "Unspecified" if name.startswith("LicenseRef-") else "All"
