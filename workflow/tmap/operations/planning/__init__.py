"""What a target will cost before anything runs: `tmap plan`."""
