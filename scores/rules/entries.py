from scores.rules.players import Entry, chain_problem, key_of_header, request_hash  # noqa: F401
