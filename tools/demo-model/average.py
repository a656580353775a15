"""The mean of the weights of two states of one training; optimiser and place are the second one's.

python average.py FIRST/state.pt SECOND/state.pt OUT/state.pt
"""

import sys

import torch


def main():
    first, second = (torch.load(path, weights_only=True) for path in sys.argv[1:3])
    second["model"] = {name: (first["model"][name] + weight) / 2 for name, weight in second["model"].items()}
    torch.save(second, sys.argv[3])


if __name__ == "__main__":
    main()
