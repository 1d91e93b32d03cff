from tailwise.wording import plural


def test_counts_agree_with_their_nouns():
    assert [plural(n, "row") for n in (0, 1, 1234)] == ["0 rows", "1 row", "1,234 rows"]
    assert [plural(n, "class was", "classes were") for n in (1, 2)] == ["1 class was", "2 classes were"]
