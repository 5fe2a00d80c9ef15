"""How all tests run: properties have no deadline, since a busy machine is no finding, and CI draws the same cases twice.

A finding of CI can then be had again; at a desk every run draws new ones.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "desk")
