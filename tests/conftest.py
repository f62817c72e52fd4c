"""Fixtures that the tests share."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.building import REAL, Built, build
from tests.places import removable
from tests.year import Year, play

settings.register_profile("pairtrail", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("pairtrail")


@pytest.fixture
def project(tmp_path: Path) -> Built:
    return build(tmp_path / "project")


@pytest.fixture
def new_project(tmp_path: Path) -> Iterator[Callable[[str], Built]]:
    """A maker of projects in folders of their own."""
    yield lambda name: build(tmp_path / name)
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture(scope="session")
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip(f"no real feedback logs at {REAL.name}/: see tests/real_sources/README.md")
    return REAL


@pytest.fixture(scope="session")
def year(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Year]:
    """A year of releases, played once; tests that use it are in the xdist group `year`, so that one worker plays it."""
    with removable(tmp_path_factory.mktemp("year")) as workshop:
        yield play(workshop)
