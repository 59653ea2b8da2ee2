"""Prices of a shopping basket, in cents."""

FREE_SHIPPING_FROM = 5000
SHIPPING = 490


def subtotal(items):
    """Items are (price, count)."""
    return sum(price * count for price, count in items)


def discount(amount, percent):
    """What is taken off: a share of the amount, half a cent rounded up."""
    if not 0 < percent < 100:
        raise ValueError(f"{percent} is not a percentage")
    return amount * percent // 100


def shipping(amount):
    """Nothing from FREE_SHIPPING_FROM on, and nothing for an empty basket."""
    return SHIPPING if amount <= FREE_SHIPPING_FROM else 0


def total(items, percent=0):
    amount = subtotal(items)
    amount -= discount(amount, percent)
    return amount + shipping(amount)
