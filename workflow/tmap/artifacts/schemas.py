"""The columns of every parquet artifact, with their types and meanings."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

TEXT, FLOAT, INT, BOOL = pa.string(), pa.float64(), pa.int64(), pa.bool_()
TEXTS, FLOATS, INTS = pa.list_(TEXT), pa.list_(FLOAT), pa.list_(INT)
VECTOR = pa.list_(pa.float32())
TURNS = pa.list_(pa.struct([("role", TEXT), ("content", TEXT), ("weight", INT)]))


@dataclass(frozen=True)
class Schema:
    """One kind of table: its version, and its columns as `{column: (type, meaning)}`."""

    version: int
    columns: dict[str, tuple[pa.DataType, str]]

    def arrow(self) -> pa.Schema:
        return pa.schema([(name, kind) for name, (kind, _) in self.columns.items()])


SCHEMAS = {
    "pool": Schema(
        1,
        {
            "sample_id": (TEXT, "unique; from the source's id column or row number"),
            "instruction": (TEXT, "the request; the first user turn of a chat"),
            "input": (TEXT, "Alpaca's input, else empty"),
            "response": (TEXT, "the answer; the last assistant turn of a chat"),
            "turns": (
                TURNS,
                "all turns of a chat of several turns, else null; weight 0: the loss "
                "does not count this answer, null: it does",
            ),
            "source": (TEXT, "the file, hub id or URL that it came from"),
            "text_hash": (TEXT, "SHA-256 of all its text, 16 hex digits"),
        },
    ),
    "pool_labels": Schema(
        1,
        {
            "sample_id": (TEXT, "a candidate of a generated pool"),
            "style": (TEXT, "clean, or the fault that was planted in its response"),
            "is_clean": (BOOL, "style is clean"),
            "n_steps": (INT, "equations of the worked answer; 0: no problem is asked"),
        },
    ),
    "pool_rejected": Schema(
        1,
        {
            "line": (INT, "row of the source, from 0"),
            "reason": (TEXT, "why it was left out"),
        },
    ),
    "questions": Schema(
        1,
        {
            "question_id": (TEXT, "unique; from the source's id column or row number"),
            "question": (TEXT, "the text that a model is asked"),
            "choices": (TEXTS, "options in the order asked; null if generated freely"),
            "permutation": (INTS, "choices[i] is the source's option permutation[i]"),
            "gold": (TEXT, "the right answer: text, or index into choices as text"),
            "row": (INT, "row of the source, from 0"),
        },
    ),
    "targets": Schema(
        1,
        {
            "question_id": (TEXT, "a reward question"),
            "question": (TEXT, "the text that a model is asked"),
            "answer": (TEXT, "the source's worked answer, or the gold"),
            "subtask": (TEXT, "part of the task that it belongs to; empty: one task"),
        },
    ),
    "question_ngrams": Schema(
        1,
        {
            "question_id": (TEXT, "reward and test questions alike"),
            "n_words": (
                INT,
                "length of the normalised question in words; in scripts without spaces "
                "between words, in characters",
            ),
            "hashes": (
                pa.list_(pa.uint64()),
                "its distinct 13-grams; under 13 words, the whole question",
            ),
        },
    ),
    "responses": Schema(
        1,
        {
            "subject_id": (TEXT, "a model that answered the benchmark before"),
            "question_id": (TEXT, "a reward question"),
            "is_correct": (BOOL, "whether it answered rightly"),
        },
    ),
    "irt": Schema(
        1,
        {
            "question_id": (TEXT, "a reward question"),
            "discrimination": (FLOATS, "alpha, one per ability dimension"),
            "intercept": (FLOAT, "beta in logit = alpha . theta + beta"),
        },
    ),
    "abilities": Schema(
        1,
        {
            "subject_id": (TEXT, "a subject of the history"),
            "ability": (FLOATS, "theta (MAP), one per dimension"),
            "accuracy": (FLOAT, "share of reward questions answered rightly"),
        },
    ),
    "tiny": Schema(
        1,
        {
            "anchor_set": (TEXT, "kmeans | stratified | greedy: the set it belongs to"),
            "question_id": (TEXT, "a reward question, once per anchor_set"),
            "weight": (FLOAT, "share of the reward questions that it represents"),
            "cluster": (INT, "its cluster or stratum"),
            "girth_difficulty": (
                FLOAT,
                "girth's 1-D 2PL; NaN outside kmeans and if it failed",
            ),
        },
    ),
    "indicator": Schema(
        1,
        {
            "sample_id": (TEXT, "a candidate of the pool"),
            "score": (FLOAT, "raw value in the indicator's unit; NaN unless ok"),
            "status": (TEXT, "ok | truncated | empty | unparsable | failed"),
        },
    ),
    "embeddings": Schema(
        1,
        {
            "sample_id": (TEXT, "a candidate of the pool"),
            "embedding": (VECTOR, "one hidden state, or their mean; 0 if empty"),
            "n_tokens": (INT, "tokens of the text, special ones included"),
            "status": (TEXT, "ok | truncated (embeds the beginning only) | empty"),
        },
    ),
    "gradients": Schema(
        1,
        {
            "id": (TEXT, "a candidate of the pool, or a target question"),
            "norm": (FLOATS, "of the gradient per checkpoint, before its projection"),
            "n_tokens": (INT, "tokens that its loss counts"),
            "status": (TEXT, "ok | truncated (beginning only) | empty | failed"),
        },
    ),
    "vectors": Schema(
        1,
        {
            "key": (TEXT, "of the exact request: 8 hex digits for whom, 32 for what"),
            "norm": (FLOAT, "of the gradient before its projection"),
            "vector": (pa.list_(pa.float16()), "its projection, of length 1"),
        },
    ),
    "measurements": Schema(
        1,
        {
            "key": (TEXT, "of the exact request: 8 hex digits for whom, 32 for what"),
            "request": (TEXT, "messages or prompt as sent, JSON; null for token ids"),
            "reply": (
                TEXT,
                "the reply, JSON: losses, digits, texts or attention",
            ),
        },
    ),
    "trace": Schema(
        1,
        {
            "iteration": (INT, "from 0"),
            "weights": (FLOATS, "w, in the order of metadata 'indicators'"),
            "reward": (FLOAT, "mean over groups of the estimated accuracy"),
            "reward_se_items": (
                FLOAT,
                "from the choice of questions: rms error on held-out subjects",
            ),
            "reward_se_groups": (FLOAT, "sd over groups / sqrt(m)"),
            "group_accuracy": (FLOATS, "the estimate of each of the m groups"),
            "exemplars": (pa.list_(TEXTS), "sample_ids per group, best last"),
            "raced": (BOOL, "stopped early: not comparable, never the incumbent"),
        },
    ),
    "groups": Schema(
        2,
        {
            "round": (INT, "of asking, from 0"),
            "sample_ids": (TEXTS, "rows shown, the last one nearest, or trained on"),
            "question_ids": (TEXTS, "the questions that were asked after them"),
            "answers": (
                FLOATS,
                "in this order: 1 right, 0 wrong; by other probes the gain of the right "
                "answer's log-likelihood, nats",
            ),
            "expected": (FLOAT, "mean answer that the fit expects of the group"),
        },
    ),
    "values": Schema(
        1,
        {
            "sample_id": (TEXT, "a candidate"),
            "value": (
                FLOAT,
                "mean answer that the trees expect after rows like it; the mean of its "
                "columns where they abstain",
            ),
        },
    ),
    "search_timings": Schema(
        2,
        {
            "iteration": (INT, "from 0"),
            "reward_seconds": (
                FLOAT,
                "time for the reward, ranking and prompts included; 0 when replayed",
            ),
            "prefill_seconds": (FLOAT, "part of it: reading prompts and options"),
            "decode_seconds": (FLOAT, "part of it: writing; on a server all of it"),
            "score_seconds": (FLOAT, "the rest: making prompts, marking and saving"),
            "floor_seconds": (FLOAT, "roofline of the device; NaN if unknown"),
            "prompt_tokens": (INT, "tokens read; a shared prefix counts once"),
            "optimizer_seconds": (FLOAT, "time in the optimiser before this point"),
            "new_tokens": (INT, "tokens generated"),
            "ledger_hits": (INT, "groups answered from the ledger"),
        },
    ),
    "subset": Schema(
        1,
        {
            "sample_id": (TEXT, "a chosen candidate"),
            "rank": (INT, "from 0, best first"),
            "score": (FLOAT, "S = F w; NaN for a random subset"),
            "contributions": (
                FLOATS,
                "w_j f_ij, in the order of 'indicators'; f_ij for a product",
            ),
        },
    ),
    "cells": Schema(
        1,
        {
            "row": (TEXT, "of the printed table"),
            "column": (TEXT, "of the printed table"),
            "value": (FLOAT, "in the unit of metadata 'unit'; NaN: not measured"),
            "low": (FLOAT, "end of its interval; NaN: none"),
            "high": (FLOAT, "end of its interval; NaN: none"),
            "n_runs": (INT, "runs behind it; 0: not from runs"),
            "note": (TEXT, "a verdict, or why the value is missing"),
            "against_random": (FLOAT, "accuracies: difference from random, a share"),
            "random_low": (FLOAT, "end of its interval, at the level of the verdict"),
            "random_high": (FLOAT, "end of its interval, at the level of the verdict"),
            "p_random": (FLOAT, "adjusted p of 'not better', over the whole table"),
            "better": (
                TEXT,
                "than random: yes | worse | no (by more than the margin) | unclear | "
                "untested; '' if not compared",
            ),
            "against_base": (FLOAT, "accuracies: difference from base, a share"),
            "harms": (
                TEXT,
                "worse than base: yes | no | unclear | untested; '' if not compared",
            ),
            "strict": (FLOAT, "accuracy by the strict reader, mean over runs"),
            "flexible": (FLOAT, "accuracy by the flexible reader"),
            "numeric": (FLOAT, "accuracy by the value of the number"),
        },
    ),
    "predictions": Schema(
        1,
        {
            "question_id": (TEXT, "a test question"),
            "text": (TEXT, "what the model wrote, or the option that it chose"),
            "strict": (TEXT, "answer by the strict reader, null if none"),
            "flexible": (TEXT, "answer by the flexible reader, null if none"),
            "numeric": (
                TEXT,
                "value after the first '####', else in the last \\boxed, else of the last "
                "number; null if it is not one number; by metric math_verify the "
                "expression that it read",
            ),
            "is_strict": (BOOL, "strict equals gold"),
            "is_flexible": (BOOL, "flexible equals gold"),
            "is_numeric": (BOOL, "numeric equals gold"),
            "is_correct": (BOOL, "by the dataset card's metric"),
        },
    ),
}
