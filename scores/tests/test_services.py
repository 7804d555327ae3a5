from scores import maintenance, services
from scores.tests import stage


def test_smoke(stores):
    assert stage.add("ann", 10) == 10
    assert stage.add("ann", 10, "k") == 20
    again = services.add_points(user_id="ann", increment=10, key="k", caller=stage.SERVER)
    assert again == services.Accepted(20, replayed=True)
    assert services.get_board().from_index
    maintenance.reconcile_ranking()
    assert stage.board().rows == stage.true_rows() == services.get_board().rows
    assert not services.get_board().from_index
    stage.add("bob", 100)
    assert [r.user_id for r in stage.board().rows] == ["bob", "ann"]
    assert maintenance.verify_ledger() == (2, [])
