"""Tests of Theory; a package so that no other `tests` on the path can take its name. The folders below are none."""
