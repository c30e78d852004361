"""Write docs/training.md and the curves beside it: `python -m docs.generate.training.page`.

The page is made from the cards' weights and from docs/evidence/ (see `stored.py`), and from nothing else. To feed it:

1. Ship weights. `deblurbench export runs/train-C2H3 --tag ours` prints the entry for the method's card; put the file
   into the method's weights/ folder and the entry into its card.
2. Keep their logs: `python -m docs.generate.training.evidence log runs/train-C2H3 runs/train-C1H1 --tag ours`.
3. Score all that ships (`deblurbench list methods` names it), and keep the clip means:
   `deblurbench run --methods M --dataset mini --output runs/mini`
   `deblurbench run --methods M --dataset gopro --split train --clips GOPR0372_07_00 --data-root D --output runs/gopro`
   `deblurbench run --methods M --dataset reds --split train --clips 027 --data-root D --output runs/reds`
   `python -m docs.generate.training.evidence results runs/mini runs/gopro runs/reds`
   The last command replaces what it kept before: name all runs, or add to it with --add.
4. Test claims: train the variants of docs/evidence/claims.yaml by as many steps from the same start, with two seeds,
   `deblurbench train ifirnn:C2H1 --seed 0 --set steps=1000 --start-from S --dataset synth --output runs/claims/C2H1-0`
   and so on; score them all, and keep both:
   `deblurbench run --methods ifirnn:C2H1@runs/claims/C2H1-0,... --dataset mini --output runs/claims-mini`
   `python -m docs.generate.training.evidence comparison runs/claims-mini runs/claims/*`
5. Measure how like real blur the training clips are, where a recipe of ifirnn or srn for synthesised clips changed:
   `python benchmarks/synthesis.py --photos PHOTOS --recipe ifirnn:quick --recipe ifirnn:hours --recipe srn:quick
   --recipe srn:window --dataset mini test - --dataset gopro:linear train ROOT --dataset reds:x4 train ROOT --clips 64
   --output docs/evidence/blur.json`
6. `python -m docs.generate.training.page`, and commit docs/training.md with docs/evidence/.

The sections are made by `gains.py` (the short answer, the figures), `shipped.py` (the weights), `likeness.py` (the
blur), `differing.py` (the recipes) and here (claims, curves). A test fails where the page is not what its sources give.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deblurbench.errors import UsageError
from deblurbench.frames.files import write_atomically
from deblurbench.plots.style import render
from deblurbench.registry.cards import IDENTITY, MethodCard
from deblurbench.registry.discovery import plugins
from deblurbench.training.figure import curves
from docs.generate.training import stored
from docs.generate.training.claims import Finding, budget, findings
from docs.generate.training.differing import differences, tried
from docs.generate.training.gains import figures, in_short, means, results_of_today
from docs.generate.training.likeness import likeness
from docs.generate.training.markdown import NONE, interval, p_value, table
from docs.generate.training.shipped import Shipped, label, shipped, weights_section
from docs.generate.training.stored import Comparison

FILE = stored.FOLDER.parent / "training.md"

_HEAD = """# Training

<!-- Written by `python -m docs.generate.training.page` from the cards and docs/evidence/; the source says how. -->

How the weights that ship were trained, how far they carry, and whether the papers' claims about variants show in them.
"""
_CLAIMS = """## The papers' claims on equal budgets

Each pair was trained by the same recipe, on the same data, from the same first weights, for the same number of steps
or minutes. *Difference* is the first variant's clip mean of PSNR minus the second's, averaged over seeds and clips,
with its 95 % interval over clips. A claim is decided only with two seeds or more that point the same way and a p of
at most 5 %, adjusted for all pairs of the table, which are tested together; everything else is "undecided". The clips
of `synth` are made of the test share of the photographs, which were not trained on but for the two that are named
above.
"""
_CURVES = """## Curves

From the trainings' logs, thinned to at most about {lines} lines. The loss is drawn beside the blurry input's on the
same batches, both smoothed as the title says; a thin line is the log's own. In `-reg` trainings the loss has the
regularisation of the gate in it, which the blurry input's has not; the gate's mean activation has a panel of its own.
"""


def page(folder: Path = stored.FOLDER) -> str:
    """The whole document as Markdown, with figures as links into `folder`'s name.

    Raises:
        UsageError: the folder holds evidence of weights that no card ships, or is damaged.
    """
    weights = shipped()
    _check_names(folder, weights)
    runs = results_of_today(folder, weights)
    parts = [_HEAD, in_short(runs, weights), weights_section(folder, weights), figures(runs, weights)]
    parts += [likeness(folder), _claims(folder), _all_curves(folder, weights), differences(folder, weights)]
    return "\n".join([part for part in [*parts, tried(folder)] if part])


def write(file: Path = FILE, folder: Path = stored.FOLDER) -> None:
    """Write the page, and the curves of every log kept."""
    for log in sorted(folder.glob("*.csv")):
        write_atomically(log.with_suffix(".svg"), draw(log))
    write_atomically(file, page(folder).encode())


def draw(log: Path) -> bytes:
    """The curves of a kept log as SVG."""
    rows = stored.read_curve(log)
    return render(lambda: curves(rows), ".svg").data


def _check_names(folder: Path, weights: Shipped) -> None:
    stories = stored.read_json(folder / stored.TRAININGS, {})
    for name in sorted(({file.stem for file in folder.glob("*.csv")} | set(stories)) - set(weights)):
        raise UsageError(
            f"{folder}: evidence of {name!r}, but no card ships such weights (there are: {', '.join(weights)}). "
            f"Delete {name}.* and its entry in {stored.TRAININGS}, or add the weights to their card."
        )
    for name in stories:
        steps = weights[name][1].training.get("steps")
        if stories[name].get("steps") != steps:
            raise UsageError(
                f"{folder / stored.TRAININGS}: {name} is told to have taken {stories[name].get('steps')} steps, its "
                f"card says {steps}: it is of another training. Keep the log of the one that ships."
            )


def _claims(folder: Path) -> str:
    found, claims = stored.read_comparison(folder), stored.read_claims(folder)
    parts = [_CLAIMS]
    for run in found.runs:
        parts += [f"### On {run.dataset}: {run.coverage}", "", _findings(findings(claims, found.trainings, run))]
    if not found.runs:
        parts += ["No trainings on equal budgets were kept yet; every claim is undecided.\n"]
        parts += ["\n".join(f"* {claim.claim}: undecided ({claim.source})" for claim in claims), ""]
    else:
        parts += [_trainings(found)]
    return "\n".join(parts)


def _findings(rows: Sequence[Finding]) -> str:
    head = (
        "claim",
        "pair",
        "verdict",
        "difference (dB)",
        "95 % interval",
        "by seed",
        "p (adjusted)",
        "in the paper (dB)",
    )
    return table(head, [_finding(row) for row in rows], right=3)


def _finding(found: Finding) -> list[str]:
    paired = found.paired
    seeds = ", ".join(f"{seed}: {difference:+.2f}" for seed, difference in found.seeds.items())
    return [
        found.claim,
        f"`{found.better}` over `{found.than}`",
        found.verdict,
        f"{paired.difference:+.2f}" if paired else NONE,
        interval(paired.interval if paired else None),
        seeds or NONE,
        p_value(paired.p_adjusted if paired else None),
        _published(found.better, found.than),
    ]


def _published(better: str, than: str) -> str:
    """The paper's own difference of PSNR, under the first protocol that it reports both for."""
    name, _, variant = better.partition(":")
    card = plugins("methods")[name].card
    assert isinstance(card, MethodCard)
    psnr = {(p.protocol, p.variant): p.value for p in card.paper if p.metric == "psnr"}
    other = than.partition(":")[2]
    both = [
        (value, psnr[place, other]) for (place, v), value in psnr.items() if v == variant and (place, other) in psnr
    ]
    return f"{both[0][0] - both[0][1]:+.2f}" if both else NONE


def _trainings(found: Comparison) -> str:
    head = ("training", "budget", "steps", "best at step", "hours", *(run.dataset for run in found.runs))
    rows = [
        [
            f"`{t.method}:{t.variant}`, seed {t.seed}", budget(t), str(t.steps), str(t.chosen), f"{t.hours:.2f}",
            *(means(run, t.name)[list(run.metrics).index("psnr")] if t.name in run.values else NONE
              for run in found.runs),
        ]
        for t in sorted(found.trainings, key=lambda t: (t.method, t.variant, t.seed))
    ]  # fmt: skip
    blurry = [means(run, IDENTITY)[list(run.metrics).index("psnr")] if IDENTITY in run.values else NONE
              for run in found.runs]  # fmt: skip
    return "The trainings, and their mean PSNR:\n\n" + table(head, [["blurry input", *[NONE] * 4, *blurry], *rows])


def _all_curves(folder: Path, weights: Shipped) -> str:
    parts = [_CURVES.format(lines=stored.LINES)]
    stories = stored.read_json(folder / stored.TRAININGS, {})
    for name, (card, w) in weights.items():
        if (folder / f"{name}.csv").is_file():
            parts += [f"### {label(card, w)}", "", f"![Curves of {name}]({folder.name}/{name}.svg)", ""]
            parts += [_time(stories[name])] if "compute_share" in stories.get(name, {}) else []
    missing = [label(card, w) for name, (card, w) in weights.items() if not (folder / f"{name}.csv").is_file()]
    parts += [f"No log was kept of {', '.join(missing)}.\n"] if missing else []
    return "\n".join(parts)


def _time(story: dict[str, Any]) -> str:
    return (
        f"Until these weights were chosen, the model computed for {story['compute_share']:.0%} of the time, and waited "
        f"for data for {story.get('data_share', 0):.0%}; the rest went to other threads and programs.\n"
    )


if __name__ == "__main__":
    write()
