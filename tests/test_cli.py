import json
from pathlib import Path
from typing import Any

import pytest

from tests.factories import machine, peaks
from yolo_perf import cli


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("yolo_perf.analysis.roofs.measure_peaks", lambda *_: peaks())
    monkeypatch.setattr("yolo_perf.machine.identity.identify", lambda **_: machine())
    monkeypatch.delenv("YOLO_PERF_DATA", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["yolo-perf", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def test_machine(run: Any) -> None:
    code, out, _ = run("machine")
    assert code == 0
    assert "peak fp32    200.0 GFLOP/s" in out
    code, out, _ = run("machine", "--json")
    document = json.loads(out)
    assert document["machine"]["cpu_model"] == "AMD EPYC"
    assert document["peaks"]["flops_per_s"] == {"fp32": 200e9, "int8": 400e9}
    assert document["peaks"]["ridge_point"] == 5


def test_models(run: Any) -> None:
    code, out, _ = run("models", "--sizes", "s,n")
    assert code == 0
    assert [line.split()[:4] for line in out.splitlines()[2:4]] == [
        ["yolov5n", "1.87", "7.12", "2.23"],
        ["yolov5s", "7.23", "27.56", "8.22"],
    ]
    _, out, _ = run("models", "--sizes", "n", "--image-size", "320", "--json")
    (row,) = json.loads(out)["models"]
    assert " ".join(row) == (
        "size parameters weight_bytes macs flops activation_bytes compulsory_bytes operational_intensity "
        "ridge_point bound flops_add flops_max_pool2d flops_mul flops_pow flops_sigmoid flops_silu flops_sub "
        "uncounted"
    )
    assert row["uncounted"] == ["aten::meshgrid"]
    assert (row["parameters"], row["macs"]) == (1_867_405, 2_234_675_200 // 4)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("models", "--sizes", "q"), 2, "Error: Unknown model size 'q'. Choose from: n, s, m, l, x."),
        (("models", "--image-size", "33"), 2, "Error: Image size 33 is not a positive multiple of 32; try 32."),
        (("models", "--image-size", "many"), 2, "Error: The image size must be a whole number"),
        (("detect", "none.jpg", "--out", "out"), 1, "Error: "),
        (("wrong",), 2, "No such command 'wrong'"),
    ],
)
def test_mistakes_are_one_line(run: Any, arguments: tuple[str, ...], code: int, message: str) -> None:
    found, out, err = run(*arguments)
    assert found == code
    assert message in err
    assert "Traceback" not in out + err


def test_detect_draws_and_says_that_seeded_weights_mean_nothing(run: Any, tmp_path: Path) -> None:
    import cv2

    from yolo_perf.pipeline.images import synthetic

    picture = tmp_path / "one.jpg"
    picture.write_bytes(synthetic().encoded[0])
    code, out, err = run("detect", str(picture), "--out", str(tmp_path / "out"), "--image-size", "64")
    assert code == 0
    assert "objects" in out
    assert "these boxes mean nothing" in err
    before, after = cv2.imread(str(picture)), cv2.imread(str(tmp_path / "out" / "one.jpg"))
    assert before is not None
    assert after is not None
    assert after.shape == before.shape
