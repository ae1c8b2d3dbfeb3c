from dataclasses import replace

from tests.factories import measurement, peaks
from yolo_perf.analysis.layers import rolled_up
from yolo_perf.records import Layer, LayerProfile, Work
from yolo_perf.report.layers import layers


def leaf(
    name: str,
    kind: str,
    seconds: float | None,
    *,
    gmac: float = 0,
    gflop: float = 0,
    mb: float,
    fused_into: str = "",
) -> Layer:
    """A leaf whose work is `gmac` of multiply-accumulates, `gflop` beyond them, and `mb` moved."""
    return Layer(
        name=name,
        kind=kind,
        leaf=True,
        work=Work(
            macs=round(gmac * 1e9),
            other_flops=round(gflop * 1e9),
            weight_bytes=0,
            activation_bytes=round(mb * 1e6),
        ),
        seconds=seconds,
        flop_share=gmac / 2,
        fused_into=fused_into,
    )


# Roofs by hand: 200 GFLOP/s, 40 GB/s, so that the ridge is at 5 FLOP/B.
FIRST = leaf("model.0.conv", "convolution", 0.020, gmac=1.0, gflop=0.1, mb=21)
SILU = leaf("model.0.act", "silu", None, gflop=0.01, mb=20, fused_into="model.0.conv")
JOIN = leaf("model.2.(own)", "cat", 0.0005, mb=4)
SECOND = leaf("model.2.cv1.conv", "convolution", 0.010, gmac=0.8, mb=4.1)
THIRD = leaf("model.2.cv2.conv", "convolution", 0.002, gmac=0.1, mb=10)
HEAD = leaf("model.24.(own)", "add mul sigmoid", 0.0015, gflop=0.04, mb=80)
LEAVES = (FIRST, SILU, JOIN, SECOND, THIRD, HEAD)


def profile(*leaves: Layer, latency_s: float = 0.0325, rounds: int = 20, **instruments: float) -> LayerProfile:
    return LayerProfile(
        case=measurement().case,
        weights=measurement().weights,
        peaks=peaks(),
        picture="one.jpg",
        layers=tuple(rolled_up(leaves or LEAVES)),
        between_s=instruments.get("between_s", 0.0),
        latency_s=latency_s,
        node_cost_s=instruments.get("node_cost_s", 0.0),
        rounds=rounds,
        planned_rounds=20,
    )


def sections(found: LayerProfile, rows: tuple[Layer, ...] | None = None, **style: bool) -> list[str]:
    """What is shown, split at its empty lines."""
    return layers(found, found.layers if rows is None else rows, "synthetic", **style).split("\n\n")


def words(section: str) -> str:
    """A paragraph, wherever its lines break."""
    return " ".join(section.split())


def test_the_table_of_layers() -> None:
    assert (
        sections(profile())[0]
        == """\
yolov5n eager, batch 1, 640 px, 2 threads, weights seeded, pictures synthetic
layer               ms    % GMAC   MB FLOP/B GFLOP/s roof eff % bound
───────────────────────────────────────────────────────────────────────
model.0          20.00 58.8 1.00 21.0  100.0   105.0  200    52 compute
model.0.conv     20.00 58.8 1.00 21.0  100.0   105.0  200    52 compute
model.0.act          -    -    -    -      -       -    -     - fused
model.2          12.50 36.8 0.90 18.1   99.4   144.0  200    72 compute
model.2.(own)     0.50  1.5 0.00  4.0    0.0       -    -    20 memory
model.2.cv1      10.00 29.4 0.80  4.1  390.2   160.0  200    80 compute
model.2.cv1.conv 10.00 29.4 0.80  4.1  390.2   160.0  200    80 compute
model.2.cv2       2.00  5.9 0.10 10.0   20.0   100.0  200    50 compute
model.2.cv2.conv  2.00  5.9 0.10 10.0   20.0   100.0  200    50 compute
model.24          1.50  4.4 0.00 80.0    0.5    26.7   20   133 memory
model.24.(own)    1.50  4.4 0.00 80.0    0.5    26.7   20   133 memory"""
    )


def test_the_rows_are_the_chosen_ones_and_the_rest_is_of_the_whole() -> None:
    found = profile()
    table, *rest = sections(found, (found.layers[0],))
    assert [line.split()[0] for line in table.splitlines()[3:]] == ["model.0"]
    assert rest == sections(found)[1:]


def test_layers_and_their_sum() -> None:
    _, added, *_ = sections(profile())
    assert words(added) == (
        "Layers: 34.00 ms an image; without instruments 32.50 ms: the sum differs by +4.6 %. "
        "Interquartile means of 20 rounds, in turn."
    )


def test_the_sum_tells_what_lies_between_and_what_was_taken_off() -> None:
    _, added, *_ = sections(profile(between_s=0.002, node_cost_s=3e-6, latency_s=0.040))
    assert words(added) == (
        "Layers 34.00 ms and 2.00 ms between them, in Python: 36.00 ms an image; without instruments 40.00 ms: "
        "the sum differs by -10.0 %. Interquartile means of 20 rounds, in turn. "
        "The instruments' own 3 us a node or module are taken off."
    )


def test_shares_are_of_layers_and_between_together() -> None:
    table = sections(profile(between_s=0.006))[0]
    first = next(line.split() for line in table.splitlines() if line.startswith("model.0.conv"))
    assert first[1:3] == ["20.00", "50.0"]


def test_an_interruption_is_said_ahead_of_the_table() -> None:
    mark = "PARTIAL: interrupted after 7 of 20 rounds."
    lines = sections(profile(rounds=7))[0].splitlines()
    assert lines[1] == mark
    assert [lines[0], *lines[2:]] == sections(profile())[0].splitlines()
    assert "Interquartile means of 7 rounds" in sections(profile(rounds=7))[1]
    assert "PARTIAL" not in "".join(sections(profile()))


def test_the_highest_and_the_lowest_utilization() -> None:
    """2.1 GFLOP in 20 ms are 105 of 200 GFLOP/s. The fused layer is in neither, nor is one without FLOP."""
    assert (
        sections(profile())[2]
        == """\
Highest utilisation of the compute peak, measured:
  model.2.cv1.conv           80.0 %
  model.0.conv               52.5 %
  model.2.cv2.conv           50.0 %
Lowest:
  model.0.conv               52.5 %
  model.2.cv2.conv           50.0 %
  model.24.(own)             13.3 %"""
    )


def test_where_to_look_is_by_time_lost() -> None:
    """The convolution's roof allows 10.5 of its 20 ms; the head is faster than memory and loses nothing."""
    assert (
        sections(profile())[3]
        == """\
Where to look, by time lost against the layer's own roof:
  model.0.conv               9.50 ms lost (27.9 %), compute bound, convolution
  model.2.cv1.conv           2.00 ms lost ( 5.9 %), compute bound, convolution
  model.2.cv2.conv           1.00 ms lost ( 2.9 %), compute bound, convolution
  model.2.(own)              0.40 ms lost ( 1.2 %), memory bound, cat"""
    )


def test_a_layer_that_beats_its_roof_is_explained() -> None:
    reason = "Above 100 %: served by caches, faster than memory could."
    assert reason in words(sections(profile())[-1])  # the head: 80 MB in 1.5 ms are 53 GB/s
    slower = replace(HEAD, seconds=0.004)
    assert reason not in words(sections(profile(*LEAVES[:-1], slower))[-1])


def test_the_table_fits_80_columns_without_colour() -> None:
    """Real names and figures of large models, nothing cut."""
    long = replace(SECOND, name="model.24.m.0.cv2.conv", seconds=0.123)
    large = leaf("model.13.m.11.cv1.conv", "convolution", 1.0, gmac=12.8, gflop=0.1, mb=110.1)
    found = profile(FIRST, JOIN, long, large, HEAD)
    table = sections(found, found.leaves)[0]
    assert max(map(len, table.splitlines())) <= 80
    assert "…" not in table
    assert [line.split()[0] for line in table.splitlines()[3:]] == [layer.name for layer in found.leaves]
    assert "\x1b" not in table
    assert "\x1b" in sections(profile(rounds=7), color=True)[0]


def test_the_text_around_the_table_fits_80_columns_too() -> None:
    text = "\n\n".join(sections(profile(between_s=0.002, node_cost_s=3e-6)))
    assert [line for line in text.splitlines() if len(line) > 80] == []


def test_a_fused_layer_of_a_long_name_cuts_no_figures() -> None:
    long = replace(SECOND, name="model.13.m.0.cv2.conv")
    fused = replace(SILU, name="model.13.m.0.cv2.act", fused_into=long.name)
    assert "…" not in sections(profile(FIRST, long, fused))[0]
