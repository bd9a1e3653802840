"""Manifests: every spelling gives the same message, and every rule is checked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.errors import RemoteMediaError
from remotemedia.manifest import (
    check,
    execution_order,
    parse_json,
    to_json_text,
    to_manifest,
)
from remotemedia.v1 import (
    CapabilityRequirements,
    Connection,
    CpuRequirement,
    ErrorType,
    GpuRequirement,
    ManifestMetadata,
    NodeManifest,
    PipelineManifest,
    RuntimeHint,
)

MESSAGE = PipelineManifest(
    version="v1",
    metadata=ManifestMetadata(
        name="demo", description="two nodes", created_at="2025-01-01T00:00:00Z"
    ),
    nodes=[
        NodeManifest(
            id="src",
            node_type="PassThrough",
            params='{"gain": 2}',
            is_streaming=True,
            capabilities=CapabilityRequirements(
                gpu=GpuRequirement(type="cuda", min_memory_gb=4.5, required=True),
                cpu=CpuRequirement(cores=2, arch="x86_64"),
                memory_gb=8,
            ),
            host="gpu-1",
            runtime_hint=RuntimeHint.CPYTHON,
        ),
        NodeManifest(id="calc", node_type="CalculatorNode", params="{}"),
    ],
    connections=[Connection(from_="src", to="calc")],
)


def snake() -> dict[str, Any]:
    """MESSAGE as a dict, with the names that Python uses."""
    return {
        "version": "v1",
        "metadata": {
            "name": "demo",
            "description": "two nodes",
            "created_at": "2025-01-01T00:00:00Z",
        },
        "nodes": [
            {
                "id": "src",
                "node_type": "PassThrough",
                "params": {"gain": 2},
                "is_streaming": True,
                "capabilities": {
                    "gpu": {"type": "cuda", "min_memory_gb": 4.5, "required": True},
                    "cpu": {"cores": 2, "arch": "x86_64"},
                    "memory_gb": 8,
                },
                "host": "gpu-1",
                "runtime_hint": "CPYTHON",
            },
            {"id": "calc", "node_type": "CalculatorNode"},
        ],
        "connections": [{"from": "src", "to": "calc"}],
    }


def camel() -> dict[str, Any]:
    """MESSAGE as a dict, with the names that protobuf's JSON uses."""
    manifest = snake()
    manifest["metadata"]["createdAt"] = manifest["metadata"].pop("created_at")
    node = manifest["nodes"][0]
    node["nodeType"] = node.pop("node_type")
    node["isStreaming"] = node.pop("is_streaming")
    node["runtimeHint"] = "RUNTIME_HINT_CPYTHON"
    del node["runtime_hint"]
    capabilities = node["capabilities"]
    capabilities["memoryGb"] = capabilities.pop("memory_gb")
    capabilities["gpu"]["minMemoryGb"] = capabilities["gpu"].pop("min_memory_gb")
    return manifest


def edited(edit: Callable[[Any], object]) -> dict[str, Any]:
    """MESSAGE as a dict, changed in one way."""
    manifest = snake()
    edit(manifest)
    return manifest


def refusal(source: Any) -> RemoteMediaError:
    """How a manifest is refused: always as VALIDATION."""
    with pytest.raises(RemoteMediaError) as caught:
        to_manifest(source)
    assert caught.value.error_type is ErrorType.VALIDATION
    return caught.value


# Spellings


@pytest.mark.parametrize(
    "source",
    [
        MESSAGE,
        snake(),
        camel(),
        json.dumps(snake()),
        json.dumps(camel()),
        MESSAGE.to_dict(),
        MESSAGE.to_json(),
        edited(lambda m: m["nodes"][0].update(params='{"gain": 2}')),
        edited(lambda m: m["nodes"][0].update(runtime_hint=RuntimeHint.CPYTHON)),
        edited(lambda m: m["nodes"][0].update(runtime_hint=2)),
        edited(lambda m: m["nodes"][1].update(params={})),
        edited(lambda m: m["nodes"][1].update(params=None, host=None)),
        edited(
            lambda m: m.update(connections=[{"from_node": "src", "to_node": "calc"}])
        ),
        edited(lambda m: m.update(connections=[{"fromNode": "src", "toNode": "calc"}])),
        edited(lambda m: m.update(connections=[{"from_": "src", "to": "calc"}])),
        edited(lambda m: m.update(connections=({"from": "src", "to": "calc"},))),
        edited(lambda m: m.update(nodes=MESSAGE.nodes, metadata=MESSAGE.metadata)),
    ],
)
def test_every_spelling_gives_the_same_message(source: Any) -> None:
    manifest = to_manifest(source)
    assert manifest == MESSAGE
    assert bytes(manifest) == bytes(MESSAGE)


def test_a_message_is_returned_as_it_is() -> None:
    assert to_manifest(MESSAGE) is MESSAGE


def test_a_dict_is_not_changed() -> None:
    source = snake()
    to_manifest(source)
    assert source == snake()


# Sources that are refused


@pytest.mark.parametrize("source", [42, None, b"{}", ["nodes"], RuntimeHint.AUTO])
def test_a_source_of_another_type_is_a_type_error(source: Any) -> None:
    with pytest.raises(TypeError, match=r"is a dict, JSON text \(str\) or a Pipeline"):
        to_manifest(source)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "manifest is not valid JSON: Expecting value"),
        ("pipeline.json", "manifest is not valid JSON"),
        ("[]", "manifest is []; it must be an object"),
        ('{"version": NaN}', "manifest is not valid JSON: NaN is not JSON"),
        # How much is too deep, and what is said then, depends on the Python version.
        ("[" * 100_000, "manifest is not valid JSON: "),
    ],
)
def test_text_that_is_not_a_manifest_is_refused(text: str, said: str) -> None:
    assert str(refusal(text)).startswith(said)


@pytest.mark.parametrize(
    ("edit", "said", "node_id"),
    [
        (
            lambda m: m.update(node=[]),
            "manifest has an unknown key 'node'; did you mean 'nodes'?",
            "",
        ),
        (lambda m: m.update({7: 1}), "manifest has an unknown key 7", ""),
        (
            lambda m: m["metadata"].update(title="x"),
            "manifest.metadata has an unknown key 'title'",
            "",
        ),
        (
            lambda m: m["nodes"][1].update(nodetype="Echo"),
            "manifest.nodes[1] (node 'calc') has an unknown key 'nodetype'; "
            "did you mean 'node_type'?",
            "calc",
        ),
        (
            lambda m: m["nodes"][0]["capabilities"]["gpu"].update(memory_gb=1),
            "manifest.nodes[0].capabilities.gpu (node 'src') has an unknown key "
            "'memory_gb'; did you mean 'min_memory_gb'?",
            "src",
        ),
        (
            lambda m: m["nodes"][0].update(nodeType="Echo"),
            "manifest.nodes[0] (node 'src') has 'node_type' and 'nodeType', which "
            "are the same",
            "src",
        ),
        (
            lambda m: m["connections"][0].update(source="src"),
            "manifest.connections[0] has an unknown key 'source'",
            "",
        ),
        (
            lambda m: m.update(nodes={"src": {}}),
            "manifest.nodes is {'src': {}}; it must be a list",
            "",
        ),
        (lambda m: m.update(nodes="src"), "manifest.nodes is 'src'; it must be", ""),
        (
            lambda m: m["nodes"].append("src"),
            "manifest.nodes[2] is 'src'; it must be an object",
            "",
        ),
        (
            lambda m: m["nodes"][0].update(id=5),
            "manifest.nodes[0].id is 5; it must be str",
            "",
        ),
        (
            lambda m: m["nodes"][0].update(is_streaming="yes"),
            "manifest.nodes[0].is_streaming (node 'src') is 'yes'; it must be bool",
            "src",
        ),
        (
            lambda m: m["nodes"][0]["capabilities"].update(memory_gb=True),
            "manifest.nodes[0].capabilities.memory_gb (node 'src') is True; it must "
            "be float",
            "src",
        ),
        (
            lambda m: m["nodes"][0]["capabilities"]["cpu"].update(cores=1.5),
            "manifest.nodes[0].capabilities.cpu.cores (node 'src') is 1.5; it must "
            "be int",
            "src",
        ),
        (
            lambda m: m["nodes"][0].update(runtime_hint="PYTHON"),
            "manifest.nodes[0].runtime_hint (node 'src') is 'PYTHON'; it must be one "
            "of UNSPECIFIED, RUSTPYTHON, CPYTHON, CPYTHON_WASM, AUTO, or its number",
            "src",
        ),
        (
            lambda m: m["nodes"][0].update(runtime_hint=9),
            "manifest.nodes[0].runtime_hint (node 'src') is 9; it must be one of",
            "src",
        ),
        (
            lambda m: m["nodes"][0].update(runtime_hint=True),
            "manifest.nodes[0].runtime_hint (node 'src') is True; it must be one of",
            "src",
        ),
    ],
)
def test_unknown_keys_and_wrong_types_are_refused(
    edit: Callable[[Any], object], said: str, node_id: str
) -> None:
    error = refusal(edited(edit))
    assert str(error).startswith(said)
    assert error.failing_node_id == node_id


# The rules of the contract


RULES: list[tuple[Callable[[PipelineManifest], object], str, str]] = [
    (
        lambda m: setattr(m, "version", "v2"),
        "manifest.version is 'v2'; it must be 'v1'",
        "",
    ),
    (lambda m: m.nodes.clear(), "manifest.nodes is empty", ""),
    (
        lambda m: setattr(m.nodes[1], "id", ""),
        "manifest.nodes[1].id is ''; an id is one or more letters, digits, '_' and",
        "",
    ),
    *(
        (
            lambda m, bad=bad: setattr(m.nodes[1], "id", bad),
            f"manifest.nodes[1].id (node {bad!r}) is {bad!r}; an id is one or more",
            bad,
        )
        for bad in ("my node", "a.b", "a/b", "calc\n", "größe")
    ),
    (
        lambda m: setattr(m.nodes[1], "id", "src"),
        "manifest.nodes[1].id (node 'src') is 'src', as that of nodes[0]; ids are",
        "src",
    ),
    (
        lambda m: setattr(m.nodes[1], "node_type", ""),
        "manifest.nodes[1].node_type (node 'calc') is empty",
        "calc",
    ),
    *(
        (
            lambda m, bad=bad: setattr(m.nodes[0], "params", bad),
            f"manifest.nodes[0].params (node 'src') {said}",
            "src",
        )
        for bad, said in (
            ("{gain: 2}", "is not valid JSON: "),
            ('{"gain": Infinity}', "is not valid JSON: Infinity is not JSON"),
            ("[2]", "is [2]; it must be a JSON object, or empty"),
            ("2", "is 2; it must be a JSON object, or empty"),
            ("null", "is None; it must be a JSON object, or empty"),
        )
    ),
    (
        lambda m: setattr(m.connections[0], "to", "calk"),
        "manifest.connections[0].to is 'calk', and there is no such node; "
        "did you mean 'calc'?",
        "",
    ),
    (
        lambda m: setattr(m.connections[0], "from_", ""),
        "manifest.connections[0].from is '', and there is no such node",
        "",
    ),
    (
        lambda m: m.connections.append(Connection(from_="calc", to="src")),
        "manifest.connections form a cycle: ",
        "",
    ),
    (
        lambda m: m.connections.append(Connection(from_="calc", to="calc")),
        "manifest.connections form a cycle: calc → calc",
        "",
    ),
]


@pytest.mark.parametrize(("edit", "said", "node_id"), RULES)
def test_rules_hold_for_messages_and_dicts(
    edit: Callable[[PipelineManifest], object], said: str, node_id: str
) -> None:
    manifest = PipelineManifest().parse(bytes(MESSAGE))
    check(manifest)
    edit(manifest)
    error = refusal(manifest)
    assert str(error).startswith(said)
    assert error.failing_node_id == node_id
    as_dict = refusal(manifest.to_dict())
    assert (str(as_dict), as_dict.failing_node_id) == (str(error), node_id)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda m: setattr(m, "version", ""), "manifest.version is ''"),
        (lambda m: setattr(m.metadata, "name", ""), "manifest.metadata.name is empty"),
    ],
)
def test_a_message_states_its_version_and_its_name(
    edit: Callable[[PipelineManifest], object], said: str
) -> None:
    manifest = PipelineManifest().parse(bytes(MESSAGE))
    edit(manifest)
    assert str(refusal(manifest)).startswith(said)


def unnamed() -> PipelineManifest:
    """What a manifest with nothing but one node means."""
    return PipelineManifest(
        version="v1",
        metadata=ManifestMetadata(name="unnamed"),
        nodes=[NodeManifest(id="src", node_type="Echo", params="{}")],
    )


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"metadata": {}},
        {"metadata": {"name": None}},
        {"metadata": None, "version": None, "connections": None},
        {"version": "v1", "metadata": {"name": "unnamed"}, "connections": []},
    ],
)
@pytest.mark.parametrize("form", [dict, json.dumps])
def test_a_dict_may_leave_out_version_and_name(
    given: dict[str, object], form: Callable[[object], Any]
) -> None:
    source = {"nodes": [{"id": "src", "node_type": "Echo"}], **given}
    assert to_manifest(form(source)) == unnamed()
    described = to_manifest({**source, "metadata": {"description": "d"}})
    assert described.metadata == ManifestMetadata(name="unnamed", description="d")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"version": "v2"}, "manifest.version is 'v2'"),
        ({"version": ""}, "manifest.version is ''"),
        ({"metadata": {"name": ""}}, "manifest.metadata.name is empty"),
        ({"metadata": ManifestMetadata()}, "manifest.metadata.name is empty"),
    ],
)
def test_what_a_dict_gives_is_checked(given: dict[str, object], said: str) -> None:
    source = {"nodes": [{"id": "src", "node_type": "Echo"}], **given}
    assert str(refusal(source)).startswith(said)


def test_manifests_share_no_defaults() -> None:
    source = {"nodes": [{"id": "src", "node_type": "Echo"}]}
    to_manifest(source).metadata.name = "changed"
    assert to_manifest(source) == unnamed()


# Files


YAML = """
# A comment, as JSON has none.
version: v1
metadata:
  name: demo
  description: two nodes
  created_at: 2025-01-01T00:00:00Z
nodes:
  - id: src
    node_type: PassThrough
    params: {gain: 2}
    is_streaming: true
    capabilities:
      gpu: {type: cuda, min_memory_gb: 4.5, required: true}
      cpu: {cores: 2, arch: x86_64}
      memory_gb: 8
    host: gpu-1
    runtime_hint: CPYTHON
  - id: calc
    node_type: CalculatorNode
connections:
  - {from: src, to: calc}
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pipeline.json", json.dumps(snake())),
        ("pipeline.JSON", json.dumps(camel())),
        ("pipeline.yaml", YAML),
        ("pipeline.yml", json.dumps(snake())),
    ],
)
def test_a_file_is_read(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert to_manifest(path) == MESSAGE


def test_a_file_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.json"
    source = edited(lambda m: m["metadata"].update(name="größe → 音"))
    path.write_bytes(json.dumps(source, ensure_ascii=False).encode())
    assert to_manifest(path).metadata.name == "größe → 音"
    path.write_bytes(b'{"version": "\xff"}')
    assert str(refusal(path)).startswith(f"{path}: the manifest is not UTF-8 text: ")


@pytest.mark.parametrize(
    ("name", "text", "said", "node_id"),
    [
        (
            "p.json",
            '{"version": "v1",\n "nodes": [}',
            "manifest is not valid JSON: Expecting value: line 2 column 12",
            "",
        ),
        ("p.json", "version: v1", "manifest is not valid JSON: Expecting value", ""),
        (
            "p.yaml",
            "version: v1\nnodes:\n  - id: a: b\n",
            "manifest is not valid YAML: mapping values are not allowed here: "
            "line 3 column 10",
            "",
        ),
        (
            "p.yaml",
            "nodes: !!python/object:os.system {}",
            "manifest is not valid YAML: could not determine a constructor",
            "",
        ),
        ("p.yaml", "a: \x00", "manifest is not valid YAML: ", ""),
        ("p.yaml", "[" * 10_000, "manifest is not valid YAML: ", ""),
        ("p.yaml", "2025-13-99", "manifest is '2025-13-99'; it must be an object", ""),
        ("p.yaml", "", "manifest is None; it must be an object", ""),
        (
            "p.yaml",
            "nodes: [{id: src, type: Echo}]",
            "manifest.nodes[0] (node 'src') has an unknown key 'type'; did you mean "
            "'node_type'?",
            "src",
        ),
        ("p.yml", "nodes: []", "manifest.nodes is empty", ""),
    ],
)
def test_an_error_in_a_file_names_the_file_and_the_place(
    tmp_path: Path, name: str, text: str, said: str, node_id: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    error = refusal(path)
    assert str(error).startswith(f"{path}: {said}")
    assert error.failing_node_id == node_id


@pytest.mark.parametrize(
    ("params", "error"), [("{x: .nan}", ValueError), ("{x: !!binary eA==}", TypeError)]
)
def test_params_in_a_file_that_json_cannot_say(
    tmp_path: Path, params: str, error: type[Exception]
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"nodes: [{{id: src, node_type: Echo, params: {params}}}]")
    with pytest.raises(error, match=r"p\.yaml: manifest\.nodes\[0\]\.params"):
        to_manifest(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    error = refusal(path)
    assert str(error).startswith(f"{path}: the manifest cannot be read: No such file")
    assert isinstance(error.__cause__, FileNotFoundError)
    with pytest.raises(ValueError, match=r"ends in \.json, \.yaml, \.yml"):
        to_manifest(tmp_path / "pipeline.toml")


def test_yaml_without_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    path = tmp_path / "pipeline.yaml"
    path.write_text(YAML)
    with pytest.raises(ImportError, match=r"pip install 'remotemedia\[yaml\]'"):
        to_manifest(path)


@pytest.mark.parametrize(
    "text", ["pipeline.json", "{name}.json", "dir/pipeline.yml", "nodes: [a]"]
)
def test_a_path_that_is_passed_as_text(text: str) -> None:
    error = refusal(text)
    assert str(error).startswith("manifest is not valid JSON: ")
    assert f"pass pathlib.Path({text!r})" in str(error)


@pytest.mark.parametrize("text", ["", '{"nodes": [', "[}"])
def test_broken_json_is_not_taken_for_a_path(text: str) -> None:
    assert "pathlib" not in str(refusal(text))


@pytest.mark.parametrize(
    ("edit", "key", "meant"),
    [
        (lambda m: m.update(edges=[]), "edges", "connections"),
        (lambda m: m.update(name="demo"), "name", "metadata"),
        (lambda m: m["nodes"][1].update(node_id="x"), "node_id", "id"),
        (lambda m: m["nodes"][1].update(config={}), "config", "params"),
        (lambda m: m["nodes"][1].update(parameters={}), "parameters", "params"),
        (lambda m: m.update(connections=[{"source": "src"}]), "source", "from"),
        (lambda m: m.update(connections=[{"Source": "src"}]), "Source", "from"),
        (lambda m: m.update(connections=[{"target": "calc"}]), "target", "to"),
        (lambda m: m.update(connections=[{"dst": "calc"}]), "dst", "to"),
    ],
)
def test_the_word_of_another_format_is_understood(
    edit: Callable[[Any], object], key: str, meant: str
) -> None:
    assert str(refusal(edited(edit))).endswith(
        f"has an unknown key {key!r}; did you mean {meant!r}?"
    )


def test_params_may_be_empty_and_connections_repeated() -> None:
    manifest = PipelineManifest().parse(bytes(MESSAGE))
    manifest.nodes[0].params = ""
    manifest.connections *= 2
    check(manifest)
    assert [node.id for node in execution_order(manifest)] == ["src", "calc"]


# Order


def pipeline(nodes: int, connections: list[tuple[int, int]]) -> PipelineManifest:
    return PipelineManifest(
        version="v1",
        metadata=ManifestMetadata(name="graph"),
        nodes=[NodeManifest(id=f"n{i}", node_type="Echo") for i in range(nodes)],
        connections=[Connection(from_=f"n{a}", to=f"n{b}") for a, b in connections],
    )


def test_nodes_without_connections_keep_their_order() -> None:
    manifest = pipeline(5, [])
    assert execution_order(manifest) == manifest.nodes


edges = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=15)


@given(edges, st.permutations(range(8)))
def test_each_node_comes_after_the_nodes_that_feed_it(
    pairs: list[tuple[int, int]], rank: list[int]
) -> None:
    # Edges that all rise in some ranking form no cycle.
    acyclic = [(a, b) for a, b in pairs if rank[a] < rank[b]]
    manifest = pipeline(8, acyclic)
    check(manifest)
    order = [node.id for node in execution_order(manifest)]
    assert sorted(order) == sorted(node.id for node in manifest.nodes)
    for a, b in acyclic:
        assert order.index(f"n{a}") < order.index(f"n{b}")


@given(edges, st.lists(st.integers(0, 7), min_size=1, unique=True))
def test_a_cycle_is_shown_along_its_connections(
    pairs: list[tuple[int, int]], ring: list[int]
) -> None:
    connections = pairs + list(zip(ring, ring[1:] + ring[:1], strict=True))
    error = refusal(pipeline(8, connections))
    shown = str(error).partition("form a cycle: ")[2].partition(". ")[0].split(" → ")
    assert shown[0] == shown[-1]
    steps = {(f"n{a}", f"n{b}") for a, b in connections}
    assert set(pairwise(shown)) <= steps


def test_a_long_chain_is_ordered() -> None:
    manifest = pipeline(3000, [(i, i + 1) for i in reversed(range(2999))])
    assert execution_order(manifest) == manifest.nodes


# JSON text


@pytest.mark.parametrize("text", ['{"a": [1, null]}', b'{"a": [1, null]}'])
def test_json_text_is_decoded(text: Any) -> None:
    assert parse_json(text) == {"a": [1, None]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("NaN", "NaN is not JSON"),
        (b"-Infinity", "-Infinity is not JSON"),
        ("\ufeff{}", "Unexpected UTF-8 BOM"),
        ("[" * 100_000, "recursion|overflow|Expecting value"),
    ],
)
def test_text_that_is_not_json_is_a_value_error(text: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_json(text)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values.filter(lambda value: not isinstance(value, str)))
def test_values_are_json_encoded(value: object) -> None:
    assert json.loads(to_json_text(value, "here")) == value


@given(json_values)
def test_a_str_is_taken_as_json_text(value: object) -> None:
    text = json.dumps(value)
    assert to_json_text(text, "here") == text


@pytest.mark.parametrize("text", ["hello", "", "NaN", "{'a': 1}", "[" * 100_000])
def test_a_str_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^here: a str is sent as JSON text") as e:
        to_json_text(text, "here")
    assert len(str(e.value)) < 400


@given(st.dictionaries(st.text(), json_values))
def test_params_keep_their_value(params: dict[str, object]) -> None:
    manifest = to_manifest(edited(lambda m: m["nodes"][0].update(params=params)))
    assert json.loads(manifest.nodes[0].params) == params


@pytest.mark.parametrize("value", [b"x", {"x": {1}}, object(), {(1, 2): 3}])
def test_a_value_without_a_json_type_is_a_type_error(value: object) -> None:
    with pytest.raises(
        TypeError, match=r"^data_inputs\['cfg'\]: .*use dict, list, str"
    ):
        to_json_text(value, "data_inputs['cfg']")


def looped() -> list[object]:
    loop: list[object] = []
    loop.append(loop)
    return loop


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [float("inf")],
        looped(),
        pytest.param(
            nested(10**5),
            marks=pytest.mark.skipif(
                sys.platform == "emscripten", reason="its stack is deep enough"
            ),
        ),
    ],
)
def test_a_value_that_json_cannot_represent_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match=r"^data_inputs\['cfg'\]: JSON cannot say"):
        to_json_text(value, "data_inputs['cfg']")


def test_the_error_for_params_without_a_json_form_names_the_node() -> None:
    with pytest.raises(TypeError, match=r"nodes\[0\]\.params \(node 'src'\): .*bytes"):
        to_manifest(edited(lambda m: m["nodes"][0].update(params={"model": b"x"})))
    with pytest.raises(ValueError, match=r"nodes\[0\]\.params \(node 'src'\): JSON"):
        to_manifest(edited(lambda m: m["nodes"][0].update(params={"x": float("nan")})))
