"""`deblurbench env`: what a bug report should say."""

from __future__ import annotations

import click

from deblurbench import provenance
from deblurbench.cli import options
from deblurbench.cli.terminal import print_json, print_table
from deblurbench.registry.discovery import plugins
from deblurbench.text import counted


@click.command()
@options.as_json
@click.option("--device", is_flag=True, help="Ask torch for its devices, too (takes seconds).")
def env(as_json: bool, device: bool) -> None:
    """Show versions, processor, source state, and broken plugins."""
    facts = provenance.environment()
    if device:
        facts["devices"] = _devices()
    facts["broken plugins"] = {
        f"{room}/{name}": plugin.error
        for room in ("methods", "datasets", "reports")
        for name, plugin in plugins(room).items()  # type: ignore[arg-type]
        if plugin.error
    }
    if as_json:
        print_json(facts)
        return
    rows = []
    for key, value in facts.items():
        if isinstance(value, dict):
            rows += [(f"{key}: {inner}", text) for inner, text in value.items()]
        else:
            rows.append((key, value))
    print_table(("what", "value"), rows)


def _devices() -> dict[str, str]:
    import torch

    devices = {"cpu": counted(torch.get_num_threads(), "thread")}
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        devices[f"cuda:{index}"] = torch.cuda.get_device_name(index)
    return devices
