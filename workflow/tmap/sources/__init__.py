"""The data door: what comes in from files, the hub and the network, checked."""
