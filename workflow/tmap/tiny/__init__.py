"""A tiny question set that stands for all: IRT, anchors, estimators."""
