"""Nearest neighbours in the plane: for each query, the index of the closest point.

A k-d tree (Bentley, 1975) whose leaves are searched by brute force. The queries walk down the tree in
batches, so that NumPy has more than one row to work on: a batch splits where its queries part, and comes
back for the other side of a cut only with the queries for which something closer may lie there.
"""

import numpy as np

LEAF_SIZE = 16  # points in a leaf: small leaves compare less, large leaves call NumPy less often
BATCH = 64  # queries that walk together: few share little work, many stop fitting the cache
CUT_WIDEST = False  # cut a node's longer side, instead of x and y in turn


class Node:
    """Either a leaf that holds points, or a cut across one axis with a tree on each side."""

    __slots__ = ("axis", "cut", "high", "indices", "low", "points")

    def __init__(self, points, indices, depth=0):
        self.points = self.indices = self.low = self.high = None
        if len(indices) <= LEAF_SIZE:
            self.points, self.indices = points[indices], indices
            return
        self.axis = int(np.ptp(points[indices], axis=0).argmax()) if CUT_WIDEST else depth % 2
        order = indices[np.argsort(points[indices, self.axis])]
        middle = len(order) // 2
        self.cut = points[order[middle], self.axis]
        self.low = Node(points, order[:middle], depth + 1)
        self.high = Node(points, order[middle:], depth + 1)


def nearest(points, queries):
    """The index of the point closest to each query.

    Args:
        points: float64 of shape (n, 2), n >= 1.
        queries: float64 of shape (m, 2).

    Returns:
        int64 of shape (m,): indices into `points`; of points equally close, any.
    """
    tree = Node(points, np.arange(len(points)))
    found = np.zeros(len(queries), dtype=np.int64)
    squared = np.full(len(queries), np.inf)  # distance to the closest point so far
    for start in range(0, len(queries), BATCH):
        search(tree, queries, np.arange(start, min(start + BATCH, len(queries))), found, squared)
    return found


def search(node, queries, rows, found, squared):
    """Improve `found` and `squared` for the queries in `rows` by what lies below `node`."""
    if node.points is not None:
        offsets = queries[rows, None, :] - node.points[None, :, :]
        distances = (offsets**2).sum(axis=2)
        closest = distances.argmin(axis=1)
        distance = distances[np.arange(len(rows)), closest]
        better = distance < squared[rows]
        found[rows[better]] = node.indices[closest[better]]
        squared[rows[better]] = distance[better]
        return
    offset = queries[rows, node.axis] - node.cut
    is_low = offset < 0
    for near, far, mask in ((node.low, node.high, is_low), (node.high, node.low, ~is_low)):
        here = rows[mask]
        if len(here) == 0:
            continue
        search(near, queries, here, found, squared)
        across = here[offset[mask] ** 2 < squared[here]]
        if len(across):
            search(far, queries, across, found, squared)
