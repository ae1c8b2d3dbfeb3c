"""Every command that README and docs show is run, as it is printed, in a clone of this repository.

Only its size is small: settings that the commands leave open come from the environment, as any user may set them.
Two kinds are not run: what installs (continuous integration does, from the README's own lines), and git.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")], key=lambda p: p.name)
NOT_RUN = ("python3 -m venv ", "pip install ", "git ", "eval ")
STATUS = {"yolo-perf fetch": (1,), "yolo-perf ab": (0, 1, 4), "pytest tests/bench --perf-against": (0, 1, 4)}
"""Where it is not 0: there is no network in a test, and what pairs decide is the host's to say."""
SMALL_SESSION = (
    "--perf-sizes=n --perf-optimizations=eager,onnx --perf-image-size=64 --perf-rounds=3 --perf-batches=1 "
    "--perf-save-anyway "  # what else runs here is no matter of the docs
    "--perf-thread-counts=1 --perf-accuracy-pictures=2 --perf-confirm=off --perf-latency-margin=100000 "
    "--perf-utilization-margin=100000 -p no:cacheprovider"
)
SMALL = {
    "IMAGE_SIZE": "64",
    "BUDGET": "0.5",
    "ROUNDS": "5",
    "OPTIMIZATIONS": "eager,onnx",
    "PAIRS": "6",
    "SETS": "1",
    "PICTURES": "2",
}
COMMANDS = ("AB", "ACCURACY", "AUDIT", "BEST", "CALIBRATE", "LAYERS", "MEMORY", "PROFILE", "STAGES")


def shown() -> list[tuple[str, str]]:
    """Every command with its page, in the order of reading; one that is shown twice once."""
    found: dict[str, str] = {}
    for page in PAGES:
        for block in re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            for line in re.sub(r"\\\n\s*", "", block).splitlines():
                if line.startswith("$ ") and not line[2:].startswith(NOT_RUN):
                    found.setdefault(re.sub(r"\s+# .*", "", line[2:]), page.name)
    # What records comes first: comparisons need it, wherever they are shown.
    return sorted(
        ((page, command) for command, page in found.items()), key=lambda each: "--perf-save" not in each[1]
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone without the saved baselines of this repository's machines, which are of larger pictures.

    Beside it, and in it, are the runs that a user is taken to have.
    """
    folder = tmp_path_factory.mktemp("docs")
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder / "clone")], check=True)
    for place in ("nightly/a.json", "clone/runs/a.json", "clone/old.json"):
        (folder / place).parent.mkdir(exist_ok=True)
        shutil.copy(next(ROOT.glob("baselines/*/0001_baseline.json")), folder / place)
    for place in ("clone/FOLDER", "home/.config/fish/completions"):
        (folder / place).mkdir(parents=True)
    for machine in (folder / "clone" / "baselines").iterdir():
        if machine.name != "reference" and machine.is_dir():
            shutil.rmtree(machine)
    bench = folder / "clone" / "tests" / "bench"
    bench.mkdir()
    (bench / "test_sum.py").write_text("def test_sum(benchmark):\n    benchmark(sum, range(500))\n")
    git = ["git", "-C", str(bench), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "A benchmark of their own"], check=True)
    return folder / "clone"


@pytest.fixture(scope="module")
def environment(clone: Path) -> dict[str, str]:
    small = {f"YOLO_PERF_{command}_{name}": value for command in COMMANDS for name, value in SMALL.items()}
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("YOLO_PERF", "GITHUB_"))},
        **small,
        "YOLO_PERF_AB_BUDGET": "15",
        "YOLO_PERF_PROVE_GATE_SUITES": "20",
        "HOME": str(clone.parent / "home"),
        "YOLO_PERF_CACHE": str(clone.parent / "cache"),
        "YOLO_PERF_MIRROR": "http://127.0.0.1:9",
        "PYTEST_ADDOPTS": SMALL_SESSION,
        "PYTHONPATH": str(clone),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def test_there_are_commands() -> None:
    assert len(shown()) >= 20
    assert {"yolo-perf models", "pytest benchmarks/ --perf-save"} <= {command for _, command in shown()}


def test_the_pages_link_to_what_is_there() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.slow
@pytest.mark.xdist_group("docs")
@pytest.mark.parametrize(("page", "command"), shown(), ids=lambda text: text[:60])
def test_a_command_that_is_shown_does_what_it_is_shown_for(
    page: str, command: str, clone: Path, environment: dict[str, str]
) -> None:
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    expected = next((statuses for start, statuses in STATUS.items() if command.startswith(start)), (0,))
    told = result.stdout + result.stderr
    assert result.returncode in expected, f"{page}: $ {command}\n{told[-3000:]}"
    assert "Traceback" not in told
    assert "NOTHING MEASURED" not in told
