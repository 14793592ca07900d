"""A tiny question set that represents all questions: IRT, anchors, estimators."""
