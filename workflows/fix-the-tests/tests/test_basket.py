import pytest
from basket import discount, shipping, subtotal, total


def test_a_subtotal_counts_each_item():
    assert subtotal([(250, 2), (100, 1)]) == 600


def test_an_empty_basket_costs_nothing():
    assert total([]) == 0


@pytest.mark.parametrize(("amount", "cost"), [(4999, 490), (5000, 0), (9000, 0)])
def test_shipping_is_free_from_a_certain_amount_on(amount, cost):
    assert shipping(amount) == cost


@pytest.mark.parametrize(("amount", "percent", "off"), [(1000, 10, 100), (999, 50, 500), (10, 0, 0)])
def test_a_discount_is_rounded_to_the_nearest_cent(amount, percent, off):
    assert discount(amount, percent) == off


def test_there_is_no_discount_of_more_than_everything():
    with pytest.raises(ValueError, match="120"):
        discount(100, 120)
