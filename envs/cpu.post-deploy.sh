#!/bin/sh
# Install tmap itself into the environment, from the working directory or TMAP_ROOT.
set -e
python -m pip install --no-deps --editable "${TMAP_ROOT:-.}"
