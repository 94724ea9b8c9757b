#!/usr/bin/env python3
"""Writes tests/data/golden_oversample.json: what imbalanced-learn's RandomOverSampler answers, for src/core/data/oversample.rs.

    python3 -m venv /tmp/golden
    /tmp/golden/bin/pip install imbalanced-learn==0.14.2 scikit-learn==1.9.1 numpy==2.4.6
    /tmp/golden/bin/python scripts/make_golden_oversample.py

Classes are handed over as whole numbers (twice the rating), since scikit-learn takes half stars for a regression target.
"""

import json
import pathlib

import numpy as np
from imblearn.over_sampling import RandomOverSampler

STRATEGIES = ["minority", "not minority", "not majority", "auto", "all"]
SIZES = {
    "electronics": {1: 115, 2: 58, 3: 81, 4: 190, 5: 556},
    "half stars": {0.5: 7, 1: 20, 1.5: 3, 2: 11, 2.5: 40, 3: 1, 3.5: 8, 4: 25, 4.5: 13, 5: 40},
    "two classes": {0: 3, 1: 9},
    "even": {1: 10, 2: 10, 3: 10},
    "two smallest": {1: 9, 2: 4, 3: 12, 4: 4},
    "two largest": {1: 12, 2: 4, 3: 12, 4: 5},
    "ten": {rating: (rating * 7) % 11 + 1 for rating in range(11)},
    "one row each": {1: 1, 5: 1},
    "one class": {4: 10},
}
COUNTS = {
    "electronics": [{1: 200}, {1: 115}, {1: 2000, 2: 58, 5: 556}, {1: 114}, {2: 0}, {1: -5}, {6: 10}, {1: 200, 4: 189}],
    "half stars": [{1.5: 40}, {3: 41, 0.5: 8}, {1.5: 2}, {5.5: 3}],
    "two classes": [{0: 9}, {0: 1000, 1: 1000}, {1: 8}],
    "one class": [{4: 20}],
}


def answer(sizes, strategy):
    classes = np.repeat([round(2 * rating) for rating in sizes], list(sizes.values()))
    sampler = RandomOverSampler(sampling_strategy=strategy, random_state=0)
    try:
        _, resampled = sampler.fit_resample(np.arange(len(classes)).reshape(-1, 1), classes)
    except ValueError as error:
        return {"resampled": None, "error": str(error)}
    found, counts = np.unique(resampled, return_counts=True)
    return {"resampled": [[float(rating) / 2, int(count)] for rating, count in zip(found, counts)], "error": None}


def main():
    cases = []
    for name, sizes in SIZES.items():
        head = {"sizes": [[rating, size] for rating, size in sizes.items()]}
        for strategy in STRATEGIES:
            cases.append({"strategy": strategy, "counts": {}, **head, **answer(sizes, strategy)})
        for counts in COUNTS.get(name, []):
            strategy = {round(2 * rating): count for rating, count in counts.items()}
            named = {str(rating): count for rating, count in counts.items()}
            cases.append({"strategy": "counts", "counts": named, **head, **answer(sizes, strategy)})
    lines = ",\n".join(json.dumps(case) for case in cases)
    target = pathlib.Path(__file__).parent.parent / "tests/data/golden_oversample.json"
    target.write_text(f"[\n{lines}\n]\n")
    print(f"{target}: {len(cases)} cases")


if __name__ == "__main__":
    main()
