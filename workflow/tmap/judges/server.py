"""A judge behind an OpenAI-compatible server.

Every reply is in the store before it is used, so a run that was killed, or that stopped
at a budget, asks nothing twice. The key is in one request header and nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from tmap.engines.client import Client, Limited, OverBudget, Refused
from tmap.errors import BudgetSpent, TmapError
from tmap.jobs.log import Progress
from tmap.judges import wire
from tmap.judges.base import JudgeReply, Question, Style, Want
from tmap.store.measurements import Entry, OpenStore, Store

if TYPE_CHECKING:
    from tmap.cards.judge import FormSection, LimitSection, ServerSection

logger = logging.getLogger(__name__)
#: Raised with every change of how replies are stored; part of every key.
VERSION = 1
#: Kind of reply -> folder of the store.
KINDS = {"digits": "tokens", "text": "replies"}
#: Consecutive rows without a usable reply after which the whole run stops.
PATIENCE = 10


class Server:
    """Asks a server, several questions in parallel.

    Parameters
    ----------
    server : address, model, and everything else that can change a reply
    limits : key variable, concurrency, retries, budgets
    style : chat: /chat/completions; completion: /completions
    form : the wording
    open_store : opens the store for a kind and for who is asked
    """

    def __init__(
        self,
        server: ServerSection,
        limits: LimitSection,
        style: Style,
        form: FormSection,
        open_store: OpenStore = Store,
    ) -> None:
        self.server, self.limits, self.style = server, limits, style
        self.form, self.open_store = form, open_store

    def ask(self, questions: Sequence[Question], want: Want) -> list[JudgeReply]:
        """As `Asker.ask`; `failed` if the server gave no usable reply.

        Raises
        ------
        TmapError
            If a budget is spent, the server refuses key or model, row after row fails,
            or rows had no reply because of the server's limits, even after all attempts.
            Replies so far are stored; the next run continues.
        """
        fields = wire.decoding(self.server, self.form, self.style, want)
        store = self.open_store(KINDS[want], self.who(want))
        requests = [wire.request(question, self.style) for question in questions]
        keys = [store.key(request) for request in requests]
        known = store.get(keys)
        asked = dict(zip(keys, requests, strict=True))
        todo = {k: request for k, request in asked.items() if k not in known}
        logger.info("judge: %d to ask, %d stored", len(todo), len(known))
        if todo:
            known |= self._ask_all(todo, fields, want, store)
        return [
            JudgeReply("ok", known[name]) if name in known else JudgeReply("failed")
            for name in keys
        ]

    def who(self, want: Want) -> dict[str, Any]:
        """Who is asked and how: the store keeps replies under this."""
        return {
            "server": self.server.url,
            "version": VERSION,
            "fields": wire.decoding(self.server, self.form, self.style, want),
            "words": self.form.words(self.style),
        }

    def _ask_all(
        self,
        todo: dict[str, dict[str, Any]],
        fields: dict[str, Any],
        want: Want,
        store: Store,
    ) -> dict[str, Any]:
        """Replies to `todo`, by key; stored every few requests."""
        found: dict[str, Any] = {}
        names = list(todo)
        if todo:
            store.prepare()
        size = 4 * self.limits.concurrency  # the most that a kill can lose
        progress = Progress("judge", len(names), "replies")
        failures = 0
        limited: list[Limited] = []
        with (
            Client(self.server.url + wire.PATHS[self.style], self.limits) as line,
            ThreadPoolExecutor(self.limits.concurrency) as workers,
        ):
            for start in range(0, len(names), size):
                chunk = {k: todo[k] for k in names[start : start + size]}
                outcomes = self._ask_some(chunk, fields, want, (line, workers, store))
                found |= {k: o for k, o in outcomes.items() if isinstance(o, dict)}
                limited += [o for o in outcomes.values() if isinstance(o, Limited)]
                for outcome in outcomes.values():
                    failures = 0 if isinstance(outcome, dict) else failures + 1
                    ends = isinstance(outcome, (OverBudget, TmapError))
                    if ends or failures == PATIENCE:
                        raise self._stopped(outcome, len(found), len(names))
                progress.advance(len(chunk), f"{line.tokens} tokens")
        store.compact()
        if limited:  # as failed rows they would never be asked again
            raise TmapError(
                f"{len(limited)} of {len(names)} questions have no reply because of the "
                f"server's limits; the last: {limited[-1]}. Run the same command again, "
                "which asks only these; lower `limits.concurrency`, or raise "
                "`limits.attempts` and `limits.max_wait`, in the judge card."
            )
        return found

    def _ask_some(
        self,
        requests: dict[str, dict[str, Any]],
        fields: dict[str, Any],
        want: Want,
        means: tuple[Client, ThreadPoolExecutor, Store],
    ) -> dict[str, Any]:
        """Outcomes by key; replies are stored, even if this is interrupted."""
        line, workers, store = means
        jobs = {
            k: workers.submit(self._ask_one, line, request | fields, want)
            for k, request in requests.items()
        }
        try:
            wait(jobs.values())
        finally:
            for job in jobs.values():
                job.cancel()
            ended = {k: j for k, j in jobs.items() if j.done() and not j.cancelled()}
            outcomes = {k: job.result() for k, job in ended.items()}
            good = {k: o for k, o in outcomes.items() if isinstance(o, dict)}
            store.put([Entry(k, requests[k], raw) for k, raw in good.items()])
        return outcomes

    def _ask_one(self, line: Client, body: dict[str, Any], want: Want) -> Any:
        """The raw reply, or the exception in its place."""
        try:
            answer = line.post(body)
            raw = wire.read(answer, want)
        except (Refused, OverBudget, TmapError) as fault:
            if isinstance(fault, Refused):
                logger.warning("judge: one row has no reply: %s", fault)
            return fault
        missing = "log-probabilities" if want == "digits" else "text"
        if want == "text" and wire.is_cut(answer):
            missing += (
                ", and end at `max_new_tokens` of the form, perhaps inside thoughts"
            )
        return raw or Refused(f"its answers contain no {missing}")

    def _stopped(self, reason: object, done: int, total: int) -> TmapError:
        kept = f"{done} of {total} replies are stored; the same command continues."
        if isinstance(reason, OverBudget):
            return BudgetSpent(f"The judge's budget is spent: {reason}. {kept}")
        if isinstance(reason, TmapError):
            return TmapError(f"{reason} {kept}")
        return TmapError(
            f"{PATIENCE} requests in a row to {self.server.url} gave nothing usable; "
            f"the last: {reason}. Fix the judge card or the server. {kept}"
        )
