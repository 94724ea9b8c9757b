"""A small shop of two halves: who shops in one never buys in the other."""

# What makes a training short, and alike on every machine.
QUICK = {"device": "cpu", "threads": 1, "train.epochs": 4, "model.dim": 8, "train.ranking.dim": 8}


def ratings():
    """Twelve customers of each half, each of whom has rated ten of its twenty products: (user, product, rating, time)."""
    for half in range(2):
        for customer in range(12):
            for n in range(10):
                product = (3 * customer + 2 * n + n // 5) % 20
                time = 1_700_000_000 + 86_400 * (7 * customer + n)
                yield f"c{half}{customer:02}", f"p{half}{product:02}", 1 + (customer + product) % 5, time
