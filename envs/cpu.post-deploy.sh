#!/bin/sh
# Put tmap itself into the environment: its folder is the working directory, unless
# TMAP_ROOT names it.
set -e
python -m pip install --no-deps --editable "${TMAP_ROOT:-.}"
