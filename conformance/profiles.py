"""How many geometries are drawn for each cell, by the name of a profile; nothing is imported, since the plugin is."""

from __future__ import annotations

# quick: while one works on a kernel; default: for every change; thorough: before a release.
PROFILES = {"quick": 6, "default": 100, "thorough": 2000}
EXAMPLES = PROFILES["default"]
