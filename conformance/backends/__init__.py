"""The backends of the suite: every module of this folder names its own in BACKENDS; the folder is the registry.

A backend imports its framework inside functions, so that this folder can be read where no framework is installed.
"""
