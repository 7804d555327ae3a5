from scores.rules.players import BOARD_ID, BOARD_SIZE, Board, Row, Standing, points_to_top10, rows_of  # noqa: F401
