"""Shared by the tests of fine-tuning: sections of a small card, a dozen chats."""

from tmap.cards.model import EngineSection, PromptSection, TrainSection

ENGINE = EngineSection(name="reference", device="cpu", dtype="float32")
PLAIN = PromptSection(template="plain")
CHATS = [
    [("user", f"What is 2+{i}?"), ("assistant", f"2+{i}={i + 2}\n#### {i + 2}")]
    for i in range(12)
]
TALK = [
    ("user", "Who are you?"),
    ("assistant", "A friend."),
    ("user", "Since when?"),
    ("assistant", "Since May."),
]


def settings(learning_rate=1e-2, **changes):
    """A small section; a learning rate may be larger than a card allows."""
    section = TrainSection(
        **{
            "rank": 2,
            "batch_size": 4,
            "micro_batch_size": 2,
            "epochs": 2,
            "dropout": 0.1,
            **changes,
        }
    )
    return section.model_copy(update={"learning_rate": learning_rate})
