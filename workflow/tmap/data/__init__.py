"""Bring in pools, questions, histories and models; check, distil and generate rows."""
