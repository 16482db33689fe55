"""What people read, and the file that a sample is chosen from."""

import collections
import dataclasses
import json

from . import verdict


def save(results, path):
    with open(path, "w", encoding="utf-8") as file:
        for result in results:
            file.write(json.dumps(dataclasses.asdict(result)) + "\n")


def load(path):
    with open(path, encoding="utf-8") as file:
        return [verdict.Result(**json.loads(line)) for line in file]


def _reason(text):
    return text.rpartition(" at ")[0]


def print_summary(results):
    by_family = collections.defaultdict(collections.Counter)
    for result in results:
        by_family[result.family][result.verdict] += 1
    print(f"\n{'family':20}" + "".join(f"{v[:22]:>24}" for v in verdict.every))
    for family, counts in sorted(by_family.items()):
        print(f"{family:20}" + "".join(f"{counts[v] or '.':>24}" for v in verdict.every))
    total = collections.Counter(r.verdict for r in results)
    print(f"{'all ' + str(len(results)):20}" + "".join(f"{total[v]:>24}" for v in verdict.every))
    _print_reasons(results)
    for result in results:
        if result.verdict in verdict.bad:
            print(f"{result.verdict} {result.name}: {result.detail} {'; '.join(result.reasons)}")


def _print_reasons(results):
    left = [r for r in results if r.verdict in (verdict.passes, verdict.fails) and r.reasons]
    ran = sum(r.verdict in (verdict.passes, verdict.fails) for r in results)
    print(f"\n{ran} ran in the engine, {ran - len(left)} of them to their end; {len(left)} went on natively:")
    reasons = collections.defaultdict(list)
    for result in left:
        for reason in {_reason(r) for r in result.reasons}:
            reasons[reason].append(result.name)
    for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1])):
        print(f"  {len(names):5}  {reason}  ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})")


def choose_sample(results, count):
    """About `count` cases that pass without leaving the engine: from each family its share, three at least,
    evenly spread over its names."""
    families = collections.defaultdict(list)
    for result in results:
        if result.verdict == verdict.passes and not result.reasons:
            families[result.family].append(result.name)
    total = sum(map(len, families.values()))
    chosen = []
    for names in families.values():
        wanted = min(len(names), max(3, round(count * len(names) / total)))
        chosen += [names[i * len(names) // wanted] for i in range(wanted)]
    return sorted(chosen)
