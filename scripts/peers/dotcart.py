"""dotcart as one of the peers: trained through its command line, always to the last epoch."""

import subprocess
import sys


class Dotcart:
    """The binary in a folder of its own, under one config: `sets` hold in every call."""

    def __init__(self, binary, config, folder, sets):
        self.binary, self.config, self.folder = binary, config, folder
        self.sets = ["oversample.strategy=none", "data.titles=", *sets]

    def call(self, *words):
        done = subprocess.run([self.binary, *map(str, words)], cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, words))}\n{done.stderr[-2000:]}")
        return done.stdout

    def words(self, command, name, data, options):
        sets = {"name": name, "data.path": data, "split.strategy": "random", "train.early_stopping.patience": 0, **options}
        words = [command, self.config, "--device", "cpu"]
        for assignment in [*self.sets, *(f"{key}={value}" for key, value in sets.items())]:
            words += ["--set", assignment]
        return words

    def train(self, name, data, **options):
        """Trains a run to its last epoch."""
        self.call(*self.words("train", name, data, options), "--plain")
        return self.folder / f"runs/{name}-1"
