from loopsmith.search.planner import distinct


def test_hypotheses_that_say_the_same_in_the_same_words_count_once():
    texts = ["Use a heap for the queue", "use a heap for  the queue", "", "Sort the edges first", "Cache rows"]
    assert distinct(texts, 2) == ("Use a heap for the queue", "Sort the edges first")
