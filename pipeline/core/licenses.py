"""Licences as SPDX expressions: which ones an expression names, and what the strictest of them allows."""

import re

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from pipeline.core.errors import PairtrailError
from schemas.vocabulary import USE_CLASSES

# A word of its own: LicenseRef-one-OR-other is one name.
_JOINTS = re.compile(r"[()]|(?<!\S)(?:AND|OR)(?!\S)", re.IGNORECASE)
# The parser that checks an expression gives up on more with a MemoryError.
_MOST_BRACKETS = 50
_NONCOMMERCIAL = re.compile(
    r"-NC\b|non-?commercial|^(NCGL-UK-2\.0|Aladdin|BUSL-1\.1|PolyForm-Small-Business-1\.0\.0)$", re.IGNORECASE
)
_ACADEMIC = re.compile(r"academic|research", re.IGNORECASE)


def licenses_in(expression: str) -> list[str]:
    """Return the licences that an SPDX expression names, sorted, an exception (`WITH`) with its licence.

    All of them count, joined by AND or by OR: what is allowed is what the strictest allows. Raises PairtrailError for
    what is no SPDX expression; a licence that SPDX does not list is written `LicenseRef-NAME`.
    """
    _canonical(expression)
    spaced = expression.replace("(", " ( ").replace(")", " ) ")
    # One by one, as a whole expression is put into one case, and two LicenseRef that differ in it become one.
    return sorted({_canonical(name) for name in _JOINTS.split(spaced) if name.strip()})


def _canonical(expression: str) -> str:
    try:
        if expression.count("(") <= _MOST_BRACKETS:
            return canonicalize_license_expression(expression)
    except InvalidLicenseExpression:
        pass
    msg = "not an SPDX licence expression; a licence that SPDX does not list is written LicenseRef-NAME"
    raise PairtrailError(msg)


def use_class(expression: str) -> str:
    """Say what an expression allows: All, Unspecified, NC or Acad, the strictest of its licences' classes.

    The classes are those of Longpre et al., The Data Provenance Initiative (2023): any use, not stated, non-commercial,
    academic only. What SPDX lists allows any use, save the licences whose name says NC and three that bar some
    commercial uses; of a LicenseRef nothing is known but its name.
    """
    return max((_class_of(name) for name in licenses_in(expression)), key=USE_CLASSES.index)


def _class_of(name: str) -> str:
    unlisted = name.startswith("LicenseRef-")
    if unlisted and _ACADEMIC.search(name):
        return "Acad"
    if _NONCOMMERCIAL.search(name):
        return "NC"
    return "Unspecified" if unlisted else "All"
