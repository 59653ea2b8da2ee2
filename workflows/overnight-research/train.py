"""Learns from one file and predicts for another: `train.py TRAINING INPUTS PREDICTIONS`.

A network with one hidden layer, trained by stochastic gradient descent with momentum. The last column of TRAINING is what is
to be predicted.
"""

import os
import sys

import numpy as np

SEED = int(os.environ.get("LOOPSMITH_SEED", "0"))
WIDTH = 16  # of the hidden layer
EPOCHS = 20
BATCH = 32
LEARNING_RATE = 0.01
MOMENTUM = 0.5
WEIGHT_DECAY = 0.01
DECAY_FROM = 0.9  # the share of the steps after which the learning rate falls to zero in a line


def start(random, inputs):
    width = max(WIDTH, 1)
    return [
        random.normal(size=(inputs, width)) / np.sqrt(inputs),
        np.zeros(width),
        random.normal(size=width) / np.sqrt(width),
        np.zeros(1),
    ]


def predict(weights, x):
    return np.tanh(x @ weights[0] + weights[1]) @ weights[2] + weights[3]


def gradients(weights, x, y):
    """Of half the mean squared error."""
    hidden = np.tanh(x @ weights[0] + weights[1])
    error = (hidden @ weights[2] + weights[3] - y) / len(y)
    back = np.outer(error, weights[2]) * (1 - hidden**2)
    return [x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(keepdims=True)]


def train(x, y, random):
    weights = start(random, x.shape[1])
    speeds = [np.zeros_like(weight) for weight in weights]
    batch = min(max(BATCH, 1), len(x))
    steps, step = EPOCHS * (len(x) // batch), 0
    for _ in range(EPOCHS):
        order = random.permutation(len(x))
        for low in range(0, len(x) - batch + 1, batch):
            chosen = order[low : low + batch]
            rate = LEARNING_RATE * min(1.0, (1 - step / steps) / max(1 - DECAY_FROM, 1e-9))
            for weight, speed, gradient in zip(weights, speeds, gradients(weights, x[chosen], y[chosen])):
                speed *= MOMENTUM
                speed -= rate * (gradient + WEIGHT_DECAY * weight)
                weight += speed
            step += 1
    return weights


def main():
    training, inputs, predictions = sys.argv[1:]
    data = np.loadtxt(training, delimiter=",")
    x, y = data[:, :-1], data[:, -1]
    weights = train(x, y, np.random.default_rng(SEED))
    np.savetxt(predictions, predict(weights, np.loadtxt(inputs, delimiter=",")))


if __name__ == "__main__":
    main()
