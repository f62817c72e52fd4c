"""Licences: which an SPDX expression names, what the strictest allows, and what is no expression."""

import pytest

from pipeline.core.errors import PairtrailError
from pipeline.core.licenses import licenses_in, use_class

WITH = "GPL-2.0-only WITH Classpath-exception-2.0"


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("MIT", ["MIT"]),
        ("mit", ["MIT"]),
        ("MIT AND MIT", ["MIT"]),
        ("MIT OR CC-BY-NC-4.0", ["CC-BY-NC-4.0", "MIT"]),
        ("(MIT and (Apache-2.0 OR ISC))", ["Apache-2.0", "ISC", "MIT"]),
        ("MIT AND(ISC)", ["ISC", "MIT"]),
        ("MIT\tAND\nISC", ["ISC", "MIT"]),
        (WITH, [WITH]),
        (f"MIT OR ({WITH})", [WITH, "MIT"]),
        ("Apache-2.0+", ["Apache-2.0+"]),
        ("LicenseRef-a-OR-b AND MIT", ["LicenseRef-a-OR-b", "MIT"]),
        ("LicenseRef-AND", ["LicenseRef-AND"]),
        ("LicenseRef-x OR LicenseRef-X", ["LicenseRef-X", "LicenseRef-x"]),
    ],
)
def test_an_expression_names_its_licences(expression: str, names: list[str]) -> None:
    assert licenses_in(expression) == names


@pytest.mark.parametrize(
    "expression",
    [
        *("", " ", "MIT OR", "AND", "MIT ISC", "MIT, ISC", "MIT/ISC", "()", "(MIT", "MIT)", "MIT WITH MIT", "WITH MIT"),
        *("None", "NONE", "NOASSERTION", "LicenseRef-", "LicenseRef-a_b", "DocumentRef-a:LicenseRef-b", "cc by 4.0"),
        *(
            "MIT\0",
            "(" * 51 + "MIT" + ")" * 51,
            "(MIT OR " * 250 + "MIT" + ")" * 250,
            "(" * 10_000,
            "MIT WITH " * 10_000,
        ),
    ],
)
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(PairtrailError, match="not an SPDX licence expression") as raised:
        licenses_in(expression)
    assert len(str(raised.value)) < 200


def test_many_brackets_are_an_expression() -> None:
    assert licenses_in("(MIT OR " * 50 + "ISC" + ")" * 50) == ["ISC", "MIT"]


@pytest.mark.parametrize(
    ("expression", "allows"),
    [
        ("CC-BY-4.0", "All"),
        ("NCSA", "All"),
        ("NCBI-PD", "All"),
        ("AFL-3.0", "All"),
        (WITH, "All"),
        ("CC-BY-NC-4.0", "NC"),
        ("CC-BY-NC-SA-3.0-IGO", "NC"),
        ("NCGL-UK-2.0", "NC"),
        ("PolyForm-Noncommercial-1.0.0", "NC"),
        ("BUSL-1.1", "NC"),
        ("LicenseRef-Acme-NC", "NC"),
        ("LicenseRef-Non-Commercial-Use", "NC"),
        ("LicenseRef-Acme", "Unspecified"),
        ("LicenseRef-Acme-Research-Only", "Acad"),
        ("LicenseRef-academic-NC", "Acad"),
        ("MIT OR CC-BY-NC-4.0", "NC"),
        ("MIT AND LicenseRef-Acme", "Unspecified"),
        ("LicenseRef-Acme AND CC-BY-NC-4.0", "NC"),
        ("CC-BY-NC-4.0 OR LicenseRef-Academic", "Acad"),
    ],
)
def test_the_strictest_licence_says_what_is_allowed(expression: str, allows: str) -> None:
    assert use_class(expression) == allows
