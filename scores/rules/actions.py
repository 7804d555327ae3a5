from scores.rules.players import Action, moderated, possible_actions  # noqa: F401
