"""Fine-tuning by transformers' Trainer and PEFT, with the loss on answers only."""

from weightarith.train.choice import Chosen
from weightarith.train.run import Trained, train
from weightarith.train.settings import Settings
from weightarith.train.watch import Moment

__all__ = ["Chosen", "Moment", "Settings", "Trained", "train"]
