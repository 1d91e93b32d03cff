from tailwise.wording import few_of_each, plural, some, times


def test_counts_agree_with_their_nouns():
    assert [plural(n, "row") for n in (0, 1, 1234)] == ["0 rows", "1 row", "1,234 rows"]
    assert [plural(n, "class was", "classes were") for n in (1, 2)] == ["1 class was", "2 classes were"]


def test_large_ratios_keep_their_digits():
    assert [times(ratio) for ratio in (1.0, 7.5, 62.5 / 3, 999.96, 1000, 15041.2, 1e6)] == [
        "1",
        "7.5",
        "20.83",
        "1000",
        "1,000",
        "15,041",
        "1,000,000",
    ]


def test_of_many_names_some_are_told_and_how_many_more_there_are():
    assert some([]) == ""
    assert some(("a", "b", "c"), 3) == "a, b, c"
    assert some([*map(str, range(2000))], 3) == "0, 1, 2 and 1,997 more"


def test_of_many_columns_that_say_the_same_some_are_told():
    empty = [(f"column {i} is empty.", "are empty") for i in range(1004)]
    odd = ("column x is odd.", "are odd")
    assert few_of_each([*empty[:5], odd]) == (*(sentence for sentence, _ in empty[:5]), odd[0])
    assert few_of_each([empty[0], odd, *empty[1:]]) == (
        "column 0 is empty.",
        "column 1 is empty.",
        "column 2 is empty.",
        "1,001 more columns are empty.",
        "column x is odd.",
    )
