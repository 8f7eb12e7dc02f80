"""One profile for hypothesis: the same draws on every run, and no verdict that depends on time."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]  # runs pytest within a test, to see what the plugin makes of it

settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")
