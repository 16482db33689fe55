"""The runtime under test: how to start a program with it, and what its store says afterwards."""

import json
import os
import subprocess

library = os.environ.get("SELFHEAL_LIBRARY", "")
command = os.environ.get("SELFHEAL_CLI", "")


class Store:
    """A store folder; with `options` for SELFHEAL_OPTIONS."""

    def __init__(self, folder):
        self.folder = folder

    def environment(self, options=""):
        """The environment of a program that is to run under the runtime with this store."""
        return {**plain_environment(), "LD_PRELOAD": library, "SELFHEAL_STORE": self.folder,
                "SELFHEAL_OPTIONS": options}

    def cli(self, *arguments, check=True):
        run = subprocess.run([command, *arguments], env={**plain_environment(), "SELFHEAL_STORE": self.folder},
                             capture_output=True, text=True, timeout=60, check=False)
        if check and run.returncode != 0:
            raise AssertionError(f"selfheal {' '.join(arguments)}: {run.returncode}\n{run.stdout}{run.stderr}")
        return run.stdout

    def policy(self, rules):
        """Puts policy rules (TOML) in force for programs started from now on."""
        path = self.folder + ".toml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(rules)
        self.cli("policy", "apply", path)

    def regions(self):
        """One dictionary for each region of the catalog, as `selfheal list --json` prints it."""
        listing = json.loads(self.cli("list", "--json"))
        return listing["regions"] if isinstance(listing, dict) else listing

    def history_size(self):
        """Bytes of the records that left the journal; `regions` before it moves what is left there."""
        try:
            return os.path.getsize(os.path.join(self.folder, "history"))
        except FileNotFoundError:
            return 0


def plain_environment():
    """The environment of this process without anything of ours in it."""
    return {k: v for k, v in os.environ.items()
            if k != "LD_PRELOAD" and not k.startswith("SELFHEAL_")}
