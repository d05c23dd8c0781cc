"""Planted faults are named, each alone; correct models, ours and ONNX Runtime's, raise no alarm."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from fewerbits import data
from fewerbits.deploy import export
from fewerbits.diagnose import Finding, UnreadableModelError, diagnose_model, flow, parameters, weights
from fewerbits.network.folding import fold
from fewerbits.network.quantized import calibrate, quantize_network
from onnx import TensorProto, helper, numpy_helper

from tests.diagnose import model_faults
from tests.diagnose.model_faults import FAULTS, Fault, copy_of, get, node, tiny, trained

OPTIONS = [
    {},
    {"per_channel": False},
    {"signed_weights": False},
    {"signed_activations": True},
    {"signed_weights": False, "per_channel": False, "weight_bits": 7},
    {"weight_bits": 7, "signed_activations": True},
    {"weight_bits": 4},
    {"weight_bits": 2, "activation_bits": 6},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_planted_fault_is_named_and_nothing_else(fault: Fault) -> None:
    found = diagnose_model(fault.model(), cpu=fault.cpu)
    assert {finding.name for finding in found} == {fault.finding}
    assert all(fault.where in finding.where for finding in found)
    assert all(finding.evidence and finding.repair for finding in found)


@pytest.mark.parametrize("build", {fault.correct: fault.correct.__name__ for fault in FAULTS})
def test_nothing_is_found_before_the_fault_is_planted(build) -> None:
    assert diagnose_model(build()) == []


def test_a_fault_is_one_finding_where_it_was_planted() -> None:
    counts = {fault.what: len(diagnose_model(fault.model(), cpu=fault.cpu)) for fault in FAULTS}
    assert {what: count for what, count in counts.items() if count != 1} == {}


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("network", ["tiny", pytest.param("vgg32", marks=pytest.mark.slow)])
def test_models_of_our_export_are_found_correct(network: str, options: dict, form: str) -> None:
    assert diagnose_model(model_faults.correct(network, form, **options)) == []


@pytest.mark.slow
@pytest.mark.parametrize("network", ["residual", "depthwise"])
def test_models_with_random_weights_are_found_correct(network: str) -> None:
    folded = trained(network)
    images = data.to_float(data.load_fashion_mnist("test").images[:10])
    seen = calibrate(folded, images, title="")
    for options in OPTIONS:
        quantized = quantize_network(folded, seen, **options)
        for build in (export.qdq_model, export.qoperator_model):
            assert diagnose_model(build(quantized, expose_codes=True)) == [], (options, build)


@pytest.mark.slow
def test_a_trained_depthwise_layer_dies_at_4_bits_per_tensor_and_lives_per_channel() -> None:
    """Its channels differ so much in range that one scale for all leaves 27 of 32 with nothing but zeros."""
    folded = fold("depthwise", data.load_weights("depthwise"))
    seen = calibrate(folded, data.to_float(data.load_fashion_mnist("test").images[:10]), title="")
    per_tensor, per_channel = (
        diagnose_model(export.qdq_model(quantize_network(folded, seen, weight_bits=4, per_channel=each)))
        for each in (False, True)
    )
    codes = quantize_network(folded, seen, weight_bits=4, per_channel=False).codes["conv2"]
    dead = int((codes.reshape(32, -1) == 0).all(axis=1).sum())
    assert dead == 27
    assert [(finding.name, finding.where) for finding in per_tensor] == [("dead_channels", "conv2_sum_Conv")]
    assert per_tensor[0].evidence.startswith(f"all weights of {dead} of 32 output channels")
    assert per_channel == []


@pytest.mark.slow
@pytest.mark.parametrize("network", ["tiny", "residual", "depthwise"])
def test_models_of_quantize_static_are_found_correct(network: str, tmp_path) -> None:
    """ONNX Runtime's own quantizer: both forms, per tensor and channel, with and without reduce_range, three types."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            images = data.to_float(data.load_fashion_mnist("test").images[:6])
            self.left = iter([{"image": image[np.newaxis]} for image in images])

        def get_next(self):
            return next(self.left, None)

    source, target = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    onnx.save(export.float_model(trained(network)), source)
    unsigned, signed = QuantType.QUInt8, QuantType.QInt8
    for form, per_channel, reduce_range, (type_of_x, type_of_w) in itertools.product(
        (QuantFormat.QDQ, QuantFormat.QOperator),
        (False, True),
        (False, True),
        ((unsigned, signed), (signed, signed), (unsigned, unsigned)),
    ):
        quantize_static(
            source, target, Images(), form, per_channel=per_channel, reduce_range=reduce_range,
            activation_type=type_of_x, weight_type=type_of_w,
        )  # fmt: skip
        assert diagnose_model(target) == [], (form, per_channel, reduce_range, type_of_x, type_of_w)


@pytest.mark.slow
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_operators_of_many_kinds_raise_no_false_alarm(form: str, per_channel: bool, tmp_path) -> None:
    """Quantized by ONNX Runtime; QOperator form has no transposed convolution, which then really stays in float."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    onnx.save(many_operators(), tmp_path / "float.onnx")
    rng = np.random.default_rng(12)
    for activations in (QuantType.QUInt8, QuantType.QInt8):
        quantize_static(
            tmp_path / "float.onnx", tmp_path / "int8.onnx", Batches(rng), QuantFormat[form],
            per_channel=per_channel, activation_type=activations, weight_type=QuantType.QInt8,
        )  # fmt: skip
        found = [(finding.name, finding.where) for finding in diagnose_model(tmp_path / "int8.onnx")]
        assert found == []
        noted = [(finding.name, finding.where) for finding in diagnose_model(tmp_path / "int8.onnx", notes=True)]
        assert (("weights_in_float", "deconvolution") in noted) == (form == "QOperator")


def noted_by(source, target, reader, **options) -> set[str]:
    """Names of the notes on a model quantized by ONNX Runtime with these options; it must have no findings."""
    from onnxruntime.quantization import QuantType, quantize_static

    quantize_static(source, target, reader, **({"weight_type": QuantType.QInt8} | options))
    assert diagnose_model(target) == [], options
    return {finding.name for finding in diagnose_model(target, notes=True)}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_symmetric_activations_on_purpose_are_a_note(form: str, tmp_path) -> None:
    """ActivationSymmetric, which engines that know no zero point ask for."""
    from onnxruntime.quantization import QuantFormat, QuantType

    onnx.save(many_operators(), tmp_path / "float.onnx")
    for kind in (QuantType.QInt8, QuantType.QUInt8):
        noted = noted_by(
            tmp_path / "float.onnx", tmp_path / "int8.onnx", Batches(np.random.default_rng(12)),
            quant_format=QuantFormat[form], activation_type=kind, extra_options={"ActivationSymmetric": True},
        )  # fmt: skip
        assert "symmetric_range_for_one_sided_data" in noted


@pytest.mark.slow
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_operators_left_out_on_purpose_are_notes(form: str, tmp_path) -> None:
    """nodes_to_exclude, one operator of each kind after the other."""
    from onnxruntime.quantization import QuantFormat, QuantType

    onnx.save(many_operators(), tmp_path / "float.onnx")
    noted = {}
    for excluded in [each.name for each in many_operators().graph.node]:
        noted[excluded] = noted_by(
            tmp_path / "float.onnx", tmp_path / "int8.onnx", Batches(np.random.default_rng(12)),
            quant_format=QuantFormat[form], activation_type=QuantType.QUInt8, nodes_to_exclude=[excluded],
        )  # fmt: skip
    assert "weights_in_float" in noted["conv2"]
    assert "weights_in_float" in noted["matmul"]
    assert "float_between_codes" in noted["leaky"]


def test_biases_of_zeros_and_weights_of_one_sign_are_notes() -> None:
    for name, of, expected in (
        ("conv2_bias_codes", np.zeros_like, "bias_forgotten"),
        ("conv2_weight_codes", np.abs, "sign_lost"),
    ):
        model = copy_of(tiny())
        model_faults.change(model, name, of)
        assert diagnose_model(model) == []
        noted = {finding.name for finding in diagnose_model(model, notes=True) if "conv2" in finding.where}
        assert noted == {expected}
    assert diagnose_model(tiny(), notes=True) == []


def test_a_scale_255_times_off_asks_for_the_pixels_and_convicts_nobody() -> None:
    fault = next(fault for fault in FAULTS if fault.what == "input scale for pixels of 0 to 1")
    (finding,) = diagnose_model(fault.model())
    assert "pixels of 0 … 255" in finding.evidence
    assert finding.repair.startswith("One of three scales is wrong.")


class Batches:
    """Six random inputs for ONNX Runtime's calibration."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.left = iter([{"x": rng.normal(size=(1, 3, 8, 8)).astype(np.float32)} for _ in range(6)])

    def get_next(self):
        return next(self.left, None)


def many_operators() -> onnx.ModelProto:
    """Convolutions, SiLU, concatenation, transposed convolution, ReLU6, resize, MatMul, layer norm, GELU, softmax."""
    rng, node_of = np.random.default_rng(11), helper.make_node
    shapes = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 8, 3, 3), "b2": (8,), "w3": (16, 12, 2, 2), "b3": (12,)}
    shapes |= {"w4": (12, 16), "b4": (16,), "gain": (16,), "shift": (16,), "w5": (16, 10), "b5": (10,)}
    tensors = [numpy_helper.from_array(rng.normal(0, 0.2, s).astype(np.float32), n) for n, s in shapes.items()]
    others = {"low": np.float32(0), "high": np.float32(6), "twice": np.array([1, 1, 2, 2], np.float32)}
    tensors += [numpy_helper.from_array(np.asarray(value), name) for name, value in others.items()]
    nodes = [
        node_of("Conv", ["x", "w1", "b1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        node_of("Relu", ["c1"], ["r1"], "relu1"),
        node_of("Conv", ["r1", "w2", "b2"], ["c2"], "conv2", pads=[1, 1, 1, 1]),
        node_of("Sigmoid", ["c2"], ["s2"], "sigmoid"),
        node_of("Mul", ["c2", "s2"], ["m2"], "silu"),
        node_of("Concat", ["r1", "m2"], ["both"], "concat", axis=1),
        node_of("ConvTranspose", ["both", "w3", "b3"], ["c3"], "deconvolution", strides=[2, 2]),
        node_of("AveragePool", ["c3"], ["p3"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node_of("LeakyRelu", ["p3"], ["l3"], "leaky", alpha=0.1),
        node_of("Clip", ["l3", "low", "high"], ["k3"], "relu6"),
        node_of("Resize", ["k3", "", "twice"], ["z3"], "resize", mode="nearest"),
        node_of("GlobalAveragePool", ["z3"], ["g3"], "mean"),
        node_of("Flatten", ["g3"], ["f3"], "flatten"),
        node_of("MatMul", ["f3", "w4"], ["m4"], "matmul"),
        node_of("Add", ["m4", "b4"], ["a4"], "add_bias"),
        node_of("LayerNormalization", ["a4", "gain", "shift"], ["n4"], "layer_norm"),
        node_of("Gelu", ["n4"], ["e4"], "gelu"),
        node_of("Gemm", ["e4", "w5", "b5"], ["g5"], "gemm"),
        node_of("Softmax", ["g5"], ["y"], "softmax"),
    ]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 3, 8, 8]), ("y", [1, 10]))]
    graph = helper.make_graph(nodes, "many", infos[:1], infos[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize(("low", "names"), [(0, ["symmetric_range_for_one_sided_data"]), (-1, [])])
def test_a_clip_at_zero_is_a_relu_to_the_diagnosis(low: float, names: list[str]) -> None:
    """What follows has zero point 100 of 255, for values that a clip at 0 (not at −1) keeps from being negative."""
    model = copy_of(model_faults.gemm())
    model_faults.put(model, "low", np.float32(low))
    model_faults.insert(model, "Clip", ["y", "low"], "clipped", "quantize_y")
    node(model, "quantize_y").input[0] = "clipped"
    found = diagnose_model(model)
    assert [(finding.name, finding.where) for finding in found] == [(name, "quantize_y") for name in names]


def test_scales_that_are_not_constant_are_left_alone() -> None:
    """A scale that is an input of the graph cannot be judged, and is no reason to fail."""
    model = copy_of(model_faults.gemm())
    for tensor in list(model.graph.initializer):
        if tensor.name in ("s", "s_w"):
            model.graph.initializer.remove(tensor)
            shape = [] if tensor.name == "s" else [12]
            model.graph.input.append(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, shape))
    onnx.checker.check_model(model, full_check=True)
    assert diagnose_model(model, cpu="no-vnni")[0].name == "saturates_without_vnni"
    assert diagnose_model(model) == []


@pytest.mark.slow
@pytest.mark.parametrize("module", [parameters, weights, flow], ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_rule_is_needed(module, monkeypatch) -> None:
    """Without a rule the fault that it names is overlooked."""
    rules, models = module.RULES, [(fault, fault.model()) for fault in FAULTS]
    for rule in rules:
        monkeypatch.setattr(module, "RULES", tuple(each for each in rules if each is not rule))
        assert any(not diagnose_model(model, cpu=fault.cpu) for fault, model in models), rule.__name__


def test_seven_bits_are_no_risk_and_eight_are() -> None:
    assert diagnose_model(model_faults.tiny_7_bits(), cpu="no-vnni") == []
    risks = diagnose_model(tiny(), cpu="no-vnni")
    assert [risk.where for risk in risks] == ["conv1_sum_Conv", "conv2_sum_Conv", "conv3_sum_Conv", "logits_Gemm"]
    assert {risk.level for risk in risks} == {"risk"}


def test_the_worst_pair_is_that_of_the_weights() -> None:
    """[255, 255]·[127, 127] = 64,770, the two neighbours that were planted."""
    fault = next(fault for fault in FAULTS if fault.finding == "saturates_without_vnni")
    (risk,) = diagnose_model(fault.model(), cpu="no-vnni")
    assert "1 of 2,304 pairs" in risk.evidence  # 32 outputs of 16·3·3/2 pairs
    assert "127 and 127 in output channel 3" in risk.evidence
    assert "±64,770" in risk.evidence


def test_a_risk_follows_the_engine_model() -> None:
    """The layers reported are those whose integers differ when the saturating CPU is simulated with extreme codes."""
    from fewerbits.network.saturating import pairs_at_risk

    weights = get(tiny(), "conv2_weight_codes")
    columns = weights.transpose(2, 3, 1, 0).reshape(-1, 32)
    (risk,) = [r for r in diagnose_model(tiny(), cpu="no-vnni") if r.where.startswith("conv2")]
    assert risk.evidence.startswith(f"{pairs_at_risk(columns).sum():,} of ")


def test_int8_activations_are_no_risk() -> None:
    """Only products of uint8 by int8 go through the instruction that saturates."""
    assert diagnose_model(model_faults.tiny_signed(), cpu="no-vnni") == []


def test_uint8_weights_are_no_risk() -> None:
    assert diagnose_model(model_faults.correct("tiny", "QDQ", signed_weights=False), cpu="no-vnni") == []


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.finding == "wrong_axis"], ids=lambda f: f.what)
def test_evidence_names_both_axes_or_both_counts(fault: Fault) -> None:
    (finding,) = diagnose_model(fault.model())
    assert "axis" in finding.evidence or "16 scales for 32 output channels" in finding.evidence


def with_constant_nodes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with every initializer as a Constant node, one behind an Identity."""
    changed = copy_of(model)
    nodes = [helper.make_node("Constant", [], [each.name], value=each) for each in changed.graph.initializer]
    behind = nodes[0].output[0]
    nodes[0].output[0] = "behind"
    nodes.insert(1, helper.make_node("Identity", ["behind"], [behind]))
    del changed.graph.initializer[:]
    for each in reversed(nodes):
        changed.graph.node.insert(0, each)
    onnx.checker.check_model(changed)
    return changed


@pytest.mark.parametrize(
    "fault", [each for each in FAULTS if each.correct in (tiny, model_faults.tiny_qoperator)], ids=lambda f: f.what
)
def test_constants_may_be_nodes(fault: Fault) -> None:
    plain = diagnose_model(fault.model(), cpu=fault.cpu)
    changed = fault.model()
    nodes = [helper.make_node("Constant", [], [each.name], value=each) for each in changed.graph.initializer]
    del changed.graph.initializer[:]
    for each in nodes:
        changed.graph.node.insert(0, each)
    assert diagnose_model(changed, cpu=fault.cpu) == plain


def test_constant_nodes_raise_no_alarm() -> None:
    assert diagnose_model(with_constant_nodes(tiny())) == []


@pytest.mark.parametrize("opset", [10, 13, 17, 19, 21, 23, 25])
def test_every_opset_is_read(opset: int) -> None:
    """Opset 10 knows no axis: one scale per tensor."""
    model = copy_of(model_faults.tiny_per_tensor())
    model.opset_import[0].version = opset
    if opset < 13:
        for each in model.graph.node:
            assert not [a for a in each.attribute if a.name == "axis"]
    assert diagnose_model(model) == []
    model_faults.dead(model)
    assert [finding.name for finding in diagnose_model(model)] == ["dead_channels"]


def test_the_axis_is_1_where_none_is_given() -> None:
    model = copy_of(model_faults.vgg32())
    del node(model, "conv2_weight_DequantizeLinear").attribute[:]
    assert [finding.name for finding in diagnose_model(model)] == ["wrong_axis"]


def test_microsofts_own_operators_are_read_too() -> None:
    model = model_faults.residual_qoperator()
    assert {each.domain for each in model.graph.node} == {"", "com.microsoft"}
    assert diagnose_model(model) == []


def test_nodes_without_names_are_described() -> None:
    model = model_faults.Fault("", "", "", tiny, model_faults.bias_of_its_own).model()
    for each in model.graph.node:
        each.name = ""
    (finding,) = diagnose_model(model)
    assert finding.where == "Conv of conv2_sum"


def test_weights_stored_in_the_file_beside_are_read(tmp_path) -> None:
    onnx.save(copy_of(tiny()), tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert diagnose_model(tmp_path / "m.onnx") == []
    (tmp_path / "m.data").unlink()
    with pytest.raises(UnreadableModelError, match=r"m\.onnx: tensor '\w+' \(external data, location m\.data\)"):
        diagnose_model(tmp_path / "m.onnx")


def test_a_model_in_memory_is_not_changed() -> None:
    model = copy_of(tiny())
    diagnose_model(model, cpu="no-vnni")
    assert model == tiny()


def test_weights_moved_by_a_transpose_keep_their_axis() -> None:
    """MatMul with weights stored (N, K), transposed after DequantizeLinear: one scale per output, axis 0."""
    model = copy_of(model_faults.matrix_product())
    node(model, "weights").attribute[0].i = 0
    node(model, "weights").output[0] = "w_transposed"
    position = list(model.graph.node).index(node(model, "layer"))
    model.graph.node.insert(position, helper.make_node("Transpose", ["w_transposed"], ["w"], perm=[1, 0]))
    assert diagnose_model(model) == []
    node(model, "weights").attribute[0].i = 1
    assert [finding.name for finding in diagnose_model(model)] == ["wrong_axis"]


def test_scales_made_larger_for_a_large_bias_are_no_fault() -> None:
    """ONNX Runtime enlarges the weight scale of a channel whose bias would not fit in int32."""
    model = model_faults.Fault("", "", "", tiny, lambda m: model_faults.weights_at(m, model_faults.ONE_CHANNEL)).model()
    assert [finding.name for finding in diagnose_model(model)] == ["unused_codes"]
    model_faults.change(model, "conv2_bias_codes", lambda codes: np.where(np.arange(32) == 7, 2**30, codes))
    assert diagnose_model(model) == []


def test_blocks_of_weights_are_no_wrong_axis() -> None:
    """Blocked quantization (opset 21) follows the axis that is summed over."""
    rng = np.random.default_rng(9)
    tensors = [
        numpy_helper.from_array(rng.integers(-127, 128, (64, 8)).astype(np.int8), "codes"),
        numpy_helper.from_array(rng.uniform(0.01, 0.02, (2, 8)).astype(np.float32), "s_w"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "s_w"], ["w"], axis=0, block_size=32),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", k]) for n, k in (("x", 64), ("y", 8))]
    graph = helper.make_graph(nodes, "blocks", infos[:1], infos[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    assert diagnose_model(model) == []


def test_requantizing_for_a_concatenation_is_no_fault() -> None:
    """Two branches brought to one scale so that their codes can stand side by side (TensorFlow Lite's way)."""
    model = model_faults.Fault(
        "", "", "", model_faults.concatenated, lambda m: model_faults.put(m, "t", np.float32(0.05))
    ).model()
    position = list(model.graph.node).index(node(model, "concat"))
    for made in (
        helper.make_node("QuantizeLinear", ["b_real", "s", "z"], ["q_b_again"], "again"),
        helper.make_node("DequantizeLinear", ["q_b", "t", "z"], ["b_real"], "read_b"),
    ):
        model.graph.node.insert(position, made)
    node(model, "concat").input[1] = "q_b_again"
    assert diagnose_model(model) == []


def test_the_table_shows_every_fault(capsys) -> None:
    assert model_faults.print_table() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(FAULTS) + 2
    assert all("✓" in line and line.endswith("–") for line in lines[1:-1])
    assert lines[-1].endswith(": 0 findings")


def test_a_finding_is_a_record() -> None:
    (finding,) = diagnose_model(model_faults.Fault("", "", "", tiny, model_faults.axis_one).model())
    assert isinstance(finding, Finding)
    assert set(finding.as_dict()) == {"name", "where", "evidence", "repair", "level"}


def by_steps(factor: float, only: slice = slice(None), keep: int = -1):
    """Weights of conv2 with codes `factor` times smaller; one of them kept far out."""

    def plant(model) -> None:
        codes = get(model, "conv2_weight_codes").astype(float)
        codes[only] = np.rint(codes[only] / factor)
        if keep >= 0:
            codes[keep].flat[0] = 127
        model_faults.put(model, "conv2_weight_codes", codes.astype(np.int8))

    return plant


NOTES = {
    "codes of 4 bits in int8": (tiny, by_steps(18), {"codes_of_fewer_bits"}),
    "codes of −4 to 4": (tiny, by_steps(32), {"codes_of_fewer_bits"}),
    "codes of −1, 0, 1": (tiny, by_steps(100), {"codes_of_fewer_bits"}),
    "a quarter of the codes": (model_faults.tiny_per_tensor, by_steps(4), {"codes_of_fewer_bits"}),
    "8 channels of 32 with few codes": (
        model_faults.tiny_per_tensor, by_steps(30, slice(8)), {"one_scale_for_all_channels"}
    ),
    "one code far from the rest": (
        model_faults.tiny_per_tensor,
        by_steps(30, keep=3),
        {"one_outlier_takes_the_range", "one_scale_for_all_channels"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", NOTES)
def test_what_may_be_meant_so_is_a_note_and_no_finding(what: str) -> None:
    build, plant, expected = NOTES[what]
    model = Fault(what, "", "", build, plant).model()
    assert diagnose_model(model) == []
    noted = diagnose_model(model, notes=True)
    assert {finding.name for finding in noted} == expected
    assert {finding.level for finding in noted} == {"note"}
    assert all("conv2" in finding.where for finding in noted)


def test_models_of_8_and_7_bits_have_no_notes() -> None:
    for build in (tiny, model_faults.tiny_per_tensor, model_faults.tiny_7_bits, model_faults.tiny_qoperator,
                  model_faults.vgg32, model_faults.transposed_convolution):  # fmt: skip
        assert diagnose_model(build(), notes=True) == []


def test_a_bias_that_is_off_alike_everywhere_says_so() -> None:
    """Which of the scales is the wrong one a file cannot tell, and the repair names both."""
    plants = {
        "and as many times in all 32 channels": lambda m: model_faults.scale_of(m, "conv2_weight_scale", by=3.0),
        "32 of 32 channels are off": lambda m: model_faults.change(
            m, "conv2_bias_scale", lambda scale: np.roll(scale, 1) * 2
        ),
    }
    for said, plant in plants.items():
        (found,) = diagnose_model(Fault("", "", "", tiny, plant).model())
        assert found.name == "bias_scale_is_not_the_product"
        assert said in found.evidence
        assert "restore it" in found.repair
