"""`yolo-perf completion`, and what the shell offers where options and arguments take names."""

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from yolo_perf.yolov5.sizes import SIZES

PROGRAM, VARIABLE = "yolo-perf", "_YOLO_PERF_COMPLETE"
SHELLS = ("bash", "zsh", "fish")

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command(short_help="Print what completes commands and names in a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands, options, sizes, optimisations and machines in SHELL.

    \b
    bash  yolo-perf completion bash >> ~/.bash_completion
    zsh   yolo-perf completion zsh > FOLDER/_yolo-perf, FOLDER being in $fpath
    fish  yolo-perf completion fish > ~/.config/fish/completions/yolo-perf.fish

    For one session of bash or zsh: eval "$(yolo-perf completion SHELL)"
    """
    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - SHELLS are click's own
    click.echo(kind(root, {}, PROGRAM, VARIABLE).source().strip())


def sizes(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Sizes that begin so."""
    return [CompletionItem(size) for size in SIZES if size.startswith(incomplete)]


def optimizations(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Optimisations that begin so, with what they are."""
    from yolo_perf.backends.registry import backends

    return [
        CompletionItem(backend.name, help=backend.summary)
        for backend in backends().values()
        if backend.name.startswith(incomplete)
    ]


def listed(complete: Complete) -> Complete:
    """The completion of the last name in a list with commas, of names that are not in it yet."""

    def last(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, begun = incomplete.rpartition(",")
        found = complete(context, parameter, begun)
        return [
            CompletionItem(f"{before}{comma}{item.value}", help=item.help)
            for item in found
            if item.value not in before.split(",")
        ]

    return last


def machines(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Machines in the folder of baselines that begin so."""
    from yolo_perf.archive.baselines import machines_in

    return _items(machines_in(_folder(context)), incomplete)


def saved_runs(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files, and machines and published ones in the folder of baselines, that begin so."""
    from yolo_perf.archive.baselines import names_in

    return [CompletionItem(incomplete, type="file"), *_items(names_in(_folder(context)), incomplete)]


def _items(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _folder(context: click.Context) -> Path:
    """--baselines as given before the word that is completed, else its default."""
    return Path(context.params.get("baselines") or "baselines")
