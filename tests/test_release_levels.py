"""What a version declares: the level of a change, and the least version that declares one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from pipeline.core.errors import PairtrailError
from pipeline.lineage.diff.kinds import LEVELS, Level
from pipeline.lineage.releases.naming import as_version
from pipeline.lineage.releases.readiness import declared_level, next_version

numbers = st.integers(0, 10**6)
versions = st.builds(Version, numbers, numbers, numbers)


@given(versions, st.sampled_from(LEVELS))
def test_the_next_version_declares_just_its_level(last: Version, level: Level) -> None:
    following = next_version(last, level)
    assert following > last
    assert declared_level(following, last) == level


@given(versions, versions)
def test_a_level_is_the_first_part_that_differs(one: Version, other: Version) -> None:
    last, version = sorted((one, other))
    differing = [
        level
        for level, part, before in zip(LEVELS, version.to_tuple()[:3], last.to_tuple()[:3], strict=True)
        if part != before
    ]
    assert declared_level(version, last) == (differing or ["patch"])[0]


@pytest.mark.parametrize("text", ["", "1", "1.2", "v", "1.2.3.4", "01.0.0", "1.0.0 ", "-1.0.0", "latest", "1.0.x"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(PairtrailError, match="write MAJOR"):
        as_version(text)


def test_a_version_may_begin_with_a_v() -> None:
    assert as_version("v1.2.3") == as_version("1.2.3") == Version(1, 2, 3)
