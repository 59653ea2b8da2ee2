"""How many pairs of points are near each other."""


def close_pairs(points, radius):
    """The number of pairs of points at most `radius` apart.

    Args:
        points: (x, y) of integers, in any order; the same point may occur several times.
        radius: an integer, zero or more.
    """
    count = 0
    for index, (x, y) in enumerate(points):
        for other_x, other_y in points[:index]:
            if (x - other_x) ** 2 + (y - other_y) ** 2 <= radius**2:
                count += 1
    return count
