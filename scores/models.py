"""Where Django looks for the models of this app. It only leads to them.

The tables of DynamoDB are in scores/stores/tables.py, the model that the admin site's permissions belong to
in scores/moderation/access.py.
"""

from scores.moderation.access import Player
from scores.stores.tables import Erasure, LedgerEntry, TableState, UserScore

__all__ = ["Erasure", "LedgerEntry", "Player", "TableState", "UserScore"]
