"""Paired, alternating measurements: A B B A A B ..., so that drift of the machine hits both alike."""

import statistics


def alternate(variants, rounds, measure):
    """name -> list of `rounds` values of measure(variant); the order turns around every round."""
    values = {name: [] for name in variants}
    names = list(variants)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            values[name].append(measure(variants[name]))
    return values


def ratios(values, name, base):
    """Ratio of each round's pair."""
    return [a / b for a, b in zip(values[name], values[base])]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(values):
    """median [first quartile .. third quartile]"""
    return (f"{statistics.median(values):.4f} "
            f"[{percentile(values, 0.25):.4f} .. {percentile(values, 0.75):.4f}]")
