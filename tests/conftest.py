"""One profile for hypothesis: the same draws on every run, and no verdict that depends on time."""

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]  # runs pytest within a test, to see what the plugin makes of it

settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def _state_of_its_own(tmp_path_factory):
    """Keep the folders of workers that are killed on purpose away from those of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
