"""Makes a conformance pack of random options, shapes and operands, as ONNX Runtime computes them on the CPU.

    python3 kernels-test/goldens/make_ops.py SEED COUNT FOLDER [NAMES]    # needs numpy, onnx, onnxruntime, safetensors
    cargo run -p kernels-test -- conformance FOLDER

COUNT cases of each generator below, or of those whose NAMES (with commas between) are given. What ONNX Runtime refuses
is counted and left out. Where ONNX Runtime departs from the definition of an operator, the mappings of family `ort` follow
it; `goldens/ops/ort` has those cases, and five of seeds 21 and 22 that once failed.
"""

import numpy as np, onnx, onnxruntime as ort, json, sys, os, random
from onnx import helper, TensorProto, numpy_helper
from safetensors.numpy import save_file

seed = int(sys.argv[1])
count = int(sys.argv[2])
out = sys.argv[3]
only = sys.argv[4].split(",") if len(sys.argv) > 4 else None
R = random.Random(seed)
N = np.random.default_rng(seed)
DT = {
    "float32": ("f32", "F32"),
    "float16": ("f16", "F16"),
    "int64": ("i64", "I64"),
    "int32": ("i32", "I32"),
    "int8": ("i8", "I8"),
    "uint8": ("u8", "U8"),
    "bool": ("bool", "BOOL"),
    "float64": ("f64", "F64"),
}
ort.set_default_logger_severity(4)
cases = []
tensors = {}
refused = {}


def f(*s, scale=1.0, off=0.0):
    return (N.standard_normal(s) * scale + off).astype(np.float32)


def ints(lo, hi, s, t=np.int64):
    return N.integers(lo, hi, s).astype(t)


def add(op, ins, attrs={}, domain="ai.onnx", opset=None, nout=1, outs=None, tol=2e-5, exact=False, valid=None):
    opset = opset or (1 if domain != "ai.onnx" else 21)
    names = []
    ginfo = []
    feed = {}
    for i, (n, a) in enumerate(ins):
        if a is None:
            names.append("")
            continue
        names.append(n)
        feed[n] = a
        ginfo.append(helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape))
    want = outs or [f"o{i}" for i in range(nout)]
    node = helper.make_node(op, names, want, domain="" if domain == "ai.onnx" else domain, **attrs)
    g = helper.make_graph([node], "g", ginfo, [onnx.ValueInfoProto(name=n) for n in want if n])
    main = opset if domain == "ai.onnx" else 21
    m = helper.make_model(
        g,
        opset_imports=[helper.make_opsetid("", main)]
        + ([helper.make_opsetid(domain, 1)] if domain != "ai.onnx" else []),
        ir_version=10,
    )
    try:
        so = ort.SessionOptions()
        so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        so.intra_op_num_threads = 1
        s = ort.InferenceSession(m.SerializeToString(), so, providers=["CPUExecutionProvider"])
        res = dict(zip([n for n in want if n], s.run(None, feed)))
    except Exception as e:
        refused.setdefault(op, []).append(str(e)[:150])
        return
    cid = f"fresh.{op}.{seed}_{len(cases)}"
    fam = {}
    ci = []
    for i, (n, a) in enumerate(ins):
        if a is None:
            ci.append({"name": n, "src": "absent"})
            continue
        a = a if a.ndim == 0 else np.ascontiguousarray(a)
        d = DT[str(a.dtype)]
        key = f"{cid}/i{i}"
        tensors[key] = a if a.dtype != bool else a
        ci.append({"name": n, "dtype": d[0], "shape": list(a.shape), "src": "tensor", "key": key, "stored": d[1]})
    co = []
    for i, n in enumerate(want):
        if not n:
            co.append({"name": n, "src": "absent"})
            continue
        y = np.asarray(res[n])
        y = y if y.ndim == 0 else np.ascontiguousarray(y)
        if y.size == 0:
            refused.setdefault(op, []).append("empty")
            return
        d = DT[str(y.dtype)]
        key = f"{cid}/o{i}"
        tensors[key] = y
        fl = y.dtype.kind == "f"
        fin = y[np.isfinite(y)] if fl else y
        mx = float(np.abs(fin).max()) if fl and fin.size else 0
        eps = 0 if (exact or not fl) else tol
        co.append(
            {
                "name": n,
                "dtype": d[0],
                "shape": list(y.shape),
                "src": "tensor",
                "key": key,
                "stored": d[1],
                "expect_source": "onnxruntime",
                "tol": {"abs": eps * max(mx, 1e-2), "rel": eps, "basis": "x"},
            }
        )
        if valid and valid[i] is not None:
            ix = np.flatnonzero(np.broadcast_to(valid[i], y.shape)).astype(np.uint32)
            tensors[key] = y.reshape(-1)[ix].copy()
            tensors[key + "x"] = ix
            co[-1].update(src="sample", index_key=key + "x")
    full = {}
    try:
        sch = onnx.defs.get_schema(op, opset, "" if domain == "ai.onnx" else domain)
        since = sch.since_version
        for k, a in sch.attributes.items():
            v = None
            if a.default_value and a.default_value.type:
                v = helper.get_attribute_value(a.default_value)
            if isinstance(v, bytes):
                v = v.decode()
            if isinstance(v, list):
                v = [x.decode() if isinstance(x, bytes) else x for x in v]
            full[k] = v
    except Exception:
        since = 1
    full.update(attrs)
    cases.append(
        {
            "id": cid,
            "op": op,
            "domain": domain,
            "opset": opset,
            "since_version": since,
            "tier": "core",
            "tags": [],
            "attrs": full,
            "attrs_given": list(attrs),
            "inputs": ci,
            "outputs": co,
            "checks": {},
        }
    )


def pick(*a):
    return R.choice(a)


def sz(lo, hi):
    return R.randint(lo, hi)


def window(n, transposed=False):
    a = {}
    k = [sz(1, 4) for _ in range(n)]
    if R.random() < 0.7:
        a["strides"] = [sz(1, 3) for _ in range(n)]
    if R.random() < 0.4:
        a["dilations"] = [sz(1, 3) for _ in range(n)]
    mode = R.random()
    if mode < 0.3:
        a["auto_pad"] = pick("SAME_UPPER", "SAME_LOWER", "VALID")
    elif mode < 0.7:
        a["pads"] = [sz(0, 2) for _ in range(2 * n)]
    return k, a


def conv():
    n = sz(1, 3)
    k, a = window(n)
    g = pick(1, 1, 2, 3)
    ci = g * sz(1, 5)
    co = g * sz(1, 20)
    x = f(sz(1, 2), ci, *[sz(5, 13) for _ in range(n)])
    w = f(co, ci // g, *k)
    a["group"] = g
    b = f(co) if R.random() < 0.5 else None
    add("Conv", [("X", x), ("W", w), ("B", b)], a)


def convt():
    n = sz(1, 3)
    k, a = window(n)
    g = pick(1, 1, 2, 3)
    ci = g * sz(1, 5)
    co = sz(1, 6)
    x = f(sz(1, 2), ci, *[sz(2, 7) for _ in range(n)])
    w = f(ci, co, *k)
    a["group"] = g
    st = a.get("strides", [1] * n)
    if R.random() < 0.4:
        a["output_padding"] = [sz(0, max(0, s - 1)) for s in st]
    b = f(co * g) if R.random() < 0.5 else None
    add("ConvTranspose", [("X", x), ("W", w), ("B", b)], a)


def pool():
    n = sz(1, 3)
    op = pick("AveragePool", "MaxPool", "LpPool")
    k, a = window(n)
    a["kernel_shape"] = k
    if R.random() < 0.4 and "auto_pad" not in a:
        a["ceil_mode"] = 1
    if "pads" in a:
        a["pads"] = [min(p, k[i % n] - 1) for i, p in enumerate(a["pads"])]
    if op == "AveragePool" and R.random() < 0.5:
        a["count_include_pad"] = 1
    if op == "LpPool":
        a["p"] = sz(1, 3)
    outs = ["Y", "Indices"] if op == "MaxPool" and R.random() < 0.4 else ["Y"]
    if outs[1:] and R.random() < 0.5:
        a["storage_order"] = 1
    add(op, [("X", f(sz(1, 2), sz(1, 3), *[sz(5, 12) for _ in range(n)]))], a, outs=outs, opset=22)


def resize():
    n = pick(3, 4, 4, 4, 5)
    a = {}
    nd = n - 2
    a["mode"] = pick("nearest", "linear", "linear", "cubic")
    if a["mode"] == "cubic" and n != 4:
        n = 4
        nd = 2
    a["coordinate_transformation_mode"] = pick(
        "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize", "half_pixel_symmetric"
    )
    if a["mode"] == "nearest":
        a["nearest_mode"] = pick("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if a["mode"] == "cubic":
        a["cubic_coeff_a"] = pick(-0.5, -0.75, -0.6)
    if (
        a["mode"] != "nearest"
        and n == 4
        and R.random() < 0.3
        and a["coordinate_transformation_mode"] != "tf_crop_and_resize"
    ):
        a["antialias"] = 1
    if a["mode"] == "cubic" and R.random() < 0.3:
        a["exclude_outside"] = 1
    if a["coordinate_transformation_mode"] == "tf_crop_and_resize":
        a["extrapolation_value"] = pick(0.0, 2.5)
    x = f(sz(1, 2), sz(1, 3), *[sz(3, 14) for _ in range(nd)])
    roi = None
    if a["coordinate_transformation_mode"] == "tf_crop_and_resize":
        st = [0, 0] + [round(R.uniform(-0.2, 0.5), 2) for _ in range(nd)]
        en = [1, 1] + [round(R.uniform(0.5, 1.2), 2) for _ in range(nd)]
        roi = np.array(st + en, np.float32)
    elif R.random() < 0.0:
        roi = np.zeros(0, np.float32)
    sizes = None
    scales = None
    if R.random() < 0.5:
        sizes = np.array(list(x.shape[:2]) + [sz(2, 20) for _ in range(nd)], np.int64)
    else:
        scales = np.array(
            [1, 1]
            + [round(R.uniform(0.3, 3.0), 3) if R.random() < 0.6 else float(pick(0.5, 2, 3, 1)) for _ in range(nd)],
            np.float32,
        )
    add("Resize", [("X", x), ("roi", roi), ("scales", scales), ("sizes", sizes)], a, tol=5e-5)


def grid():
    n = pick(4, 4, 5)
    mode = pick("linear", "nearest", "cubic") if n == 4 else pick("linear", "nearest")
    a = {"mode": mode, "padding_mode": pick("zeros", "border", "reflection"), "align_corners": sz(0, 1)}
    x = f(2, 2, *[sz(2, 9) for _ in range(n - 2)])
    g = (N.random((2,) + tuple(sz(2, 7) for _ in range(n - 2)) + (n - 2,)) * 2.8 - 1.4).astype(np.float32)
    add("GridSample", [("X", x), ("grid", g)], a, tol=1e-4)


def mha():
    h = pick(1, 2, 4)
    d = pick(4, 8, 12, 16)
    b = sz(1, 3)
    q = sz(1, 9)
    kv = sz(1, 12)
    a = {"num_heads": h}
    if R.random() < 0.4:
        a["unidirectional"] = 1
    if R.random() < 0.3:
        a["scale"] = 0.25
    if R.random() < 0.3:
        a["mask_filter_value"] = -500.0
    dv = pick(d, d, d * 2)
    Q = f(b, q, h * d)
    K = f(b, kv, h * d)
    V = f(b, kv, h * dv)
    bias = f(h * (2 * d + dv)) if R.random() < 0.4 else None
    mask = pick(None, None, ints(1, kv + 1, (b,), np.int32), ints(0, 2, (b, kv), np.int32))
    if mask is not None and mask.ndim == 2:
        mask[:, 0] = 1
    past = sz(0, 5) if R.random() < 0.3 and dv == d else None
    pk = pv = None
    outs = ["output"]
    tot = kv
    if past:
        tot = kv + past
        pk = f(b, h, past, d)
        pv = f(b, h, past, dv)
        outs = ["output", "present_key", "present_value"]
        if mask is not None:
            mask = None
    ab = f(pick(1, b), pick(1, h), q, tot) if R.random() < 0.4 else None
    add(
        "MultiHeadAttention",
        [
            ("query", Q),
            ("key", K),
            ("value", V),
            ("bias", bias),
            ("key_padding_mask", mask),
            ("attention_bias", ab),
            ("past_key", pk),
            ("past_value", pv),
        ],
        a,
        "com.microsoft",
        outs=outs,
        tol=5e-5,
    )


def msattn():
    h = pick(1, 2, 4)
    d = pick(4, 8)
    b = sz(1, 2)
    s = sz(1, 9)
    e = pick(16, 24)
    a = {"num_heads": h}
    if R.random() < 0.4:
        a["unidirectional"] = 1
    if R.random() < 0.3:
        a["scale"] = 0.3
    w = f(e, 3 * h * d, scale=0.3)
    bi = f(3 * h * d)
    past = sz(1, 4) if R.random() < 0.4 else None
    tot = s + (past or 0)
    P = f(2, b, h, past, d) if past else None
    mask = pick(
        None, ints(1, tot + 1, (b,), np.int32), ints(0, 2, (b, tot), np.int32), ints(0, 2, (b, s, tot), np.int32)
    )
    if mask is not None and mask.ndim > 1:
        mask[..., 0] = 1
    ab = f(pick(1, b), pick(1, h), s, tot) if R.random() < 0.3 else None
    add(
        "Attention",
        [
            ("input", f(b, s, e)),
            ("weights", w),
            ("bias", bi),
            ("mask_index", mask),
            ("past", P),
            ("attention_bias", ab),
        ],
        a,
        "com.microsoft",
        outs=["output", "present"] if past else ["output"],
        tol=5e-5,
    )


def gqa():
    kvh = pick(1, 2)
    h = kvh * pick(1, 2, 4)
    d = pick(8, 16, 32)
    b = sz(1, 3)
    a = {"num_heads": h, "kv_num_heads": kvh}
    if R.random() < 0.3:
        a["scale"] = 0.2
    if R.random() < 0.3:
        a["softcap"] = 10.0
    if R.random() < 0.3:
        a["local_window_size"] = sz(1, 6)
    prompt = R.random() < 0.5
    if prompt:
        s = sz(2, 9)
        lens = ints(1, s + 1, (b,), np.int32)
        lens[0] = s
        tot = s
        past = 0
        pk = pv = f(b, kvh, 0, d)
    else:
        s = 1
        past = sz(2, 9)
        lens = ints(1, past + 1, (b,), np.int32)
        tot = int(lens.max())
        pk = f(b, kvh, past, d)
        pv = f(b, kvh, past, d)
    sl = (lens - 1).astype(np.int32)
    rows = max(tot, past)
    pv_ = np.arange(rows)[None, :] < lens[:, None]
    vk = pv_[:, None, :, None]
    vo = (np.arange(s)[None, :] < lens[:, None])[:, :, None] if prompt else None
    cs = sn = None
    if R.random() < 0.5 and d % 16 == 0:
        a["do_rotary"] = 1
        a["rotary_interleaved"] = sz(0, 1)
        t = N.random((32, d // 2)).astype(np.float32) * 3
        cs = np.cos(t)
        sn = np.sin(t)
    if prompt:
        pk = pv = None
    add(
        "GroupQueryAttention",
        [
            ("query", f(b, s, h * d)),
            ("key", f(b, s, kvh * d)),
            ("value", f(b, s, kvh * d)),
            ("past_key", pk),
            ("past_value", pv),
            ("seqlens_k", sl),
            ("total_sequence_length", np.array(tot, np.int32)),
            ("cos_cache", cs),
            ("sin_cache", sn),
        ],
        a,
        "com.microsoft",
        outs=["output", "present_key", "present_value"],
        tol=5e-5,
        valid=[vo, vk, vk],
    )


def attn23():
    kvh = pick(1, 2)
    h = kvh * pick(1, 2, 3)
    d = pick(8, 12)
    dv = pick(d, d + 4)
    b = sz(1, 2)
    q = sz(1, 8)
    kv = sz(1, 10)
    a = {}
    if R.random() < 0.4:
        a["is_causal"] = 1
    if R.random() < 0.3:
        a["scale"] = 0.3
    if R.random() < 0.3:
        a["softcap"] = 4.0
    three = R.random() < 0.4
    past = sz(1, 5) if R.random() < 0.3 else 0
    tot = kv + past

    def sh(n, s, w):
        return f(b, s, n * w) if three else f(b, n, s, w)

    if three:
        a["q_num_heads"] = h
        a["kv_num_heads"] = kvh
    mask = None
    r = R.random()
    if r < 0.3:
        mask = f(*pick((q, tot), (b, 1, q, tot), (b, h, q, tot), (1, h, q, tot)))
    elif r < 0.5:
        mask = N.random(pick((q, tot), (b, 1, q, tot))) < 0.7
        mask[..., 0] = True
    pk, pv = (f(b, kvh, past, d), f(b, kvh, past, dv)) if past else (None, None)
    outs = ["Y", "pk", "pv"] if past else ["Y"]
    if R.random() < 0.2:
        outs = (outs + ["", ""])[:3] + ["qk"]
        a["qk_matmul_output_mode"] = sz(0, 3)
    add(
        "Attention",
        [
            ("Q", sh(h, q, d)),
            ("K", sh(kvh, kv, d)),
            ("V", sh(kvh, kv, dv)),
            ("attn_mask", mask),
            ("past_key", pk),
            ("past_value", pv),
        ],
        a,
        opset=pick(23, 24),
        outs=outs,
        tol=5e-5,
    )


def norm():
    op = pick(
        "LayerNormalization",
        "RMSNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "BatchNormalization",
        "SkipLayerNormalization",
        "SkipSimplifiedLayerNormalization",
        "LpNormalization",
    )
    n = sz(2, 4)
    s = [sz(1, 9) for _ in range(n)]
    x = f(*s, off=pick(0, 50))
    if op in ("LayerNormalization", "RMSNormalization"):
        ax = sz(-n, n - 1)
        t = s[ax:]
        a = {"axis": ax, "epsilon": pick(1e-5, 1e-3)}
        if op == "LayerNormalization":
            add(
                op,
                [("X", x), ("S", f(*t)), ("B", f(*t) if R.random() < 0.5 else None)],
                a,
                outs=pick(["Y"], ["Y", "M", "I"]),
                tol=1e-4,
            )
        else:
            add(op, [("X", x), ("S", f(*t))], a, opset=23)
    elif op == "InstanceNormalization":
        x = f(2, 3, *[sz(2, 7) for _ in range(sz(1, 3))])
        add(op, [("x", x), ("s", f(3)), ("b", f(3))], {"epsilon": 1e-3}, opset=22)
    elif op == "GroupNormalization":
        g = pick(1, 2, 3)
        c = g * sz(1, 4)
        x = f(2, c, *[sz(2, 7) for _ in range(sz(1, 3))])
        add(op, [("x", x), ("s", f(c)), ("b", f(c))], {"num_groups": g}, opset=21, tol=1e-4)
    elif op == "BatchNormalization":
        c = s[1]
        add(op, [("x", f(*s)), ("s", f(c)), ("b", f(c)), ("m", f(c)), ("v", np.abs(f(c)) + 0.1)], {"epsilon": 1e-4})
    elif op == "LpNormalization":
        add(op, [("x", f(*s))], {"axis": sz(-n, n - 1), "p": sz(1, 2)}, opset=22)
    else:
        h = pick(8, 12, 20)
        x = f(2, sz(1, 5), h)
        sk = f(*pick(x.shape, (1, x.shape[1], h), (x.shape[1], h)))
        ins = [("x", x), ("s", sk), ("g", f(h))]
        if op == "SkipLayerNormalization":
            ins += [("be", f(h) if R.random() < 0.5 else None)]
        ins += [("bi", f(h) if R.random() < 0.5 else None)]
        add(op, ins, {"epsilon": 1e-5}, "com.microsoft", outs=pick(["o"], ["o", "", "", "sum"]), tol=1e-4)


def reduce():
    op = pick(
        "ReduceSum",
        "ReduceMean",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceLogSumExp",
        "ReduceSumSquare",
        "ArgMax",
        "ArgMin",
        "CumSum",
        "TopK",
        "Softmax",
        "LogSoftmax",
        "Hardmax",
    )
    n = sz(1, 4)
    s = [sz(1, 9) for _ in range(n)]
    x = f(*s)
    if op == "ReduceLogSum":
        x = np.abs(x) + 0.1
    if op.startswith("Reduce"):
        ax = np.array(sorted(R.sample(range(n), sz(1, n))), np.int64)
        ax = np.array([int(v) - n if R.random() < 0.3 else int(v) for v in ax], np.int64)
        if R.random() < 0.2:
            ax = None
        add(
            op,
            [("x", x), ("axes", ax)],
            {"keepdims": sz(0, 1), "noop_with_empty_axes": pick(0, 0, 1)},
            opset=18 if op != "ReduceSum" else 13,
            tol=1e-4,
        )
    elif op.startswith("Arg"):
        x = np.round(x * 2).astype(np.float32)
        add(op, [("x", x)], {"axis": sz(-n, n - 1), "keepdims": sz(0, 1), "select_last_index": sz(0, 1)}, opset=13)
    elif op == "CumSum":
        add(
            op,
            [("x", x), ("axis", np.array(sz(-n, n - 1), np.int64))],
            {"exclusive": sz(0, 1), "reverse": sz(0, 1)},
            opset=14,
        )
    elif op == "TopK":
        ax = sz(-n, n - 1)
        add(
            op,
            [("x", x), ("k", np.array([sz(1, s[ax])], np.int64))],
            {"axis": ax, "largest": sz(0, 1), "sorted": 1},
            nout=2,
            opset=11,
        )
    else:
        add(op, [("x", x * pick(1, 30))], {"axis": sz(-n, n - 1)}, opset=13)


def gather():
    op = pick("Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND", "OneHot")
    n = sz(1, 4)
    s = [sz(2, 6) for _ in range(n)]
    x = f(*s)
    ax = sz(-n, n - 1)
    d = s[ax]
    if op == "Gather":
        add(op, [("x", x), ("i", ints(-d, d, [sz(1, 4) for _ in range(sz(0, 2))]))], {"axis": ax}, opset=13)
    elif op == "GatherElements":
        t = [sz(1, v) for v in s]
        t[ax] = sz(1, 9)
        add(op, [("x", x), ("i", ints(-d, d, t))], {"axis": ax}, opset=13)
    elif op == "ScatterElements":
        t = [sz(1, v) for v in s]
        t[ax] = sz(1, d)
        r = pick("none", "add", "mul", "max", "min")
        i = (
            np.argsort(N.random(s), axis=ax).astype(np.int64)[tuple(slice(0, v) for v in t)]
            if r == "none"
            else ints(-d, d, t)
        )
        add(op, [("x", x), ("i", i), ("u", f(*t))], {"axis": ax, "reduction": r}, opset=18)
    elif op == "GatherND":
        bd = sz(0, n - 1)
        k = sz(1, n - bd)
        t = list(s[:bd]) + [sz(1, 4) for _ in range(sz(0, 2))]
        i = np.stack([ints(-s[bd + j], s[bd + j], t) for j in range(k)], -1)
        add(op, [("x", x), ("i", i)], {"batch_dims": bd}, opset=13)
    elif op == "ScatterND":
        k = sz(1, n)
        c = sz(1, 4)
        flat = R.sample(range(int(np.prod(s[:k]))), min(c, int(np.prod(s[:k]))))
        i = np.stack(np.unravel_index(flat, s[:k]), -1).astype(np.int64)
        r = pick("none", "add", "mul", "max", "min")
        add(op, [("x", x), ("i", i), ("u", f(len(flat), *s[k:]))], {"reduction": r}, opset=18)
    else:
        add(
            op,
            [
                ("i", ints(-5, 5, [sz(1, 4), sz(1, 3)])),
                ("d", np.array(5, np.int64)),
                ("v", np.array([0.5, 2.0], np.float32)),
            ],
            {"axis": sz(-3, 2)},
            opset=11,
        )


def layout():
    op = pick(
        "Pad",
        "Slice",
        "Concat",
        "Transpose",
        "Tile",
        "Expand",
        "DepthToSpace",
        "SpaceToDepth",
        "Split",
        "Trilu",
        "CenterCropPad",
    )
    n = sz(1, 5)
    s = [sz(2, 6) for _ in range(n)]
    x = f(*s)
    if op == "Pad":
        m = pick("constant", "reflect", "edge", "wrap")
        hi = 1 if m in ("reflect", "wrap") else 4
        p = np.array([sz(-1 if m == "constant" else 0, hi) for _ in range(2 * n)], np.int64)
        add(
            op,
            [("x", x), ("p", p), ("v", np.array(1.5, np.float32) if m == "constant" and R.random() < 0.5 else None)],
            {"mode": m},
            opset=19,
        )
    elif op == "Slice":
        k = sz(1, n)
        ax = R.sample(range(n), k)
        st = [sz(-8, 8) for _ in ax]
        en = [sz(-8, 8) for _ in ax]
        sp = [pick(1, 2, -1, -2, 3) for _ in ax]
        add(
            op,
            [("x", x), ("s", np.array(st)), ("e", np.array(en)), ("a", np.array(ax)), ("t", np.array(sp))],
            {},
            opset=13,
        )
    elif op == "Concat":
        ax = sz(-n, n - 1)
        xs = []
        for _ in range(sz(1, 4)):
            t = list(s)
            t[ax] = sz(1, 5)
            xs.append(f(*t))
        add(op, [(f"x{i}", v) for i, v in enumerate(xs)], {"axis": ax}, opset=13)
    elif op == "Transpose":
        add(op, [("x", x)], {"perm": R.sample(range(n), n)}, opset=21)
    elif op == "Tile":
        add(op, [("x", x), ("r", np.array([sz(1, 3) for _ in s]))], {}, opset=13)
    elif op == "Expand":
        t = [v if R.random() < 0.5 else 1 for v in s]
        add(op, [("x", f(*t)), ("s", np.array([sz(1, 2)] + s))], {}, opset=13)
    elif op == "DepthToSpace":
        bs = sz(2, 3)
        add(
            op,
            [("x", f(sz(1, 2), bs * bs * sz(1, 3), sz(1, 4), sz(1, 4)))],
            {"blocksize": bs, "mode": pick("DCR", "CRD")},
            opset=13,
        )
    elif op == "SpaceToDepth":
        bs = sz(2, 3)
        add(op, [("x", f(sz(1, 2), sz(1, 3), bs * sz(1, 4), bs * sz(1, 4)))], {"blocksize": bs}, opset=13)
    elif op == "Split":
        ax = sz(-n, n - 1)
        c = s[ax]
        k = sz(1, c)
        cut = sorted(R.sample(range(1, c), k - 1)) if c > 1 else []
        sp = np.diff([0] + cut + [c])
        add(op, [("x", x), ("s", sp.astype(np.int64))], {"axis": ax}, opset=18, nout=len(sp))
    elif op == "Trilu" and n >= 2:
        add(op, [("x", x), ("k", np.array(sz(-4, 4), np.int64))], {"upper": sz(0, 1)}, opset=14)
    else:
        add(op, [("x", x), ("s", np.array([sz(1, 8) for _ in s]))], {}, opset=18)


def mm():
    op = pick(
        "MatMul",
        "Gemm",
        "Einsum",
        "MatMulInteger",
        "FusedMatMul",
        "MatMulNBits",
        "QLinearMatMul",
        "DynamicQuantizeMatMul",
        "MatMulIntegerToFloat",
    )
    m, n, k = sz(1, 20), sz(1, 20), sz(1, 40)
    if op == "MatMul":
        b = [sz(1, 3) for _ in range(sz(0, 2))]
        b2 = [v if R.random() < 0.5 else 1 for v in b]
        A, B = pick((f(*b, m, k), f(*b2, k, n)), (f(k), f(*b2, k, n)), (f(*b, m, k), f(k)))
        add(op, [("a", A), ("b", B)], {}, opset=13)
    elif op == "FusedMatMul":
        b = [sz(1, 3)]
        ta, tb = sz(0, 1), sz(0, 1)
        add(
            op,
            [("a", f(*b, *((k, m) if ta else (m, k)))), ("b", f(*b, *((n, k) if tb else (k, n))))],
            {"transA": ta, "transB": tb, "alpha": 1.5},
            "com.microsoft",
        )
    elif op == "Gemm":
        ta, tb = sz(0, 1), sz(0, 1)
        c = pick(None, f(n), f(m, 1), f(m, n), f(1))
        add(
            op,
            [("a", f(k, m) if ta else f(m, k)), ("b", f(n, k) if tb else f(k, n)), ("c", c)],
            {"transA": ta, "transB": tb, "alpha": pick(1.0, 0.5), "beta": pick(1.0, 2.0)},
            opset=13,
        )
    elif op == "Einsum":
        e = pick(
            "ij,jk->ik",
            "bij,bjk->bik",
            "bhqd,bhkd->bhqk",
            "ij->ji",
            "ij->i",
            "ii->i",
            "...ij,...jk->...ik",
            "i,j->ij",
            "bij->b",
            "abc,cd,de->abe",
        )
        dim = {c: sz(1, 6) for c in "abcdehijkq"}
        lhs = e.split("->")[0].split(",")
        add(
            op,
            [
                (f"x{i}", f(*([2] if t.startswith("...") else []), *[dim[c] for c in t.replace(".", "")]))
                for i, t in enumerate(lhs)
            ],
            {"equation": e},
            opset=12,
        )
    elif op == "MatMulInteger":
        A = ints(0, 256, (m, k), np.uint8) if R.random() < 0.5 else ints(-128, 128, (m, k), np.int8)
        B = ints(-128, 128, (k, n), np.int8) if R.random() < 0.5 else ints(0, 256, (k, n), np.uint8)
        az = pick(None, A.dtype.type(7))
        bz = pick(None, np.array(3, B.dtype), ints(0, 9, (n,), B.dtype))
        add(op, [("a", A), ("b", B), ("az", None if az is None else np.array(az)), ("bz", bz)], {}, opset=10)
    elif op == "MatMulIntegerToFloat":
        A = ints(0, 256, (m, k), np.uint8)
        B = ints(-128, 128, (k, n), np.int8)
        add(
            op,
            [
                ("a", A),
                ("b", B),
                ("as", np.array([0.1], np.float32)),
                ("bs", np.abs(f(n)) if R.random() < 0.5 else np.array([0.2], np.float32)),
                ("az", np.array([9], np.uint8)),
                ("bz", None),
                ("bi", f(n) if R.random() < 0.5 else None),
            ],
            {},
            "com.microsoft",
        )
    elif op == "DynamicQuantizeMatMul":
        B = ints(-128, 128, (k, n), np.int8)
        add(
            op,
            [
                ("a", f(m, k)),
                ("b", B),
                ("bs", np.array([0.02], np.float32)),
                ("bz", None),
                ("bi", f(n) if R.random() < 0.5 else None),
            ],
            {},
            "com.microsoft",
            tol=2e-2,
        )
    elif op == "QLinearMatMul":
        add(
            op,
            [
                ("a", ints(0, 256, (m, k), np.uint8)),
                ("as", np.array(0.01, np.float32)),
                ("az", np.array(120, np.uint8)),
                ("b", ints(0, 256, (k, n), np.uint8)),
                ("bs", np.array(0.02, np.float32)),
                ("bz", np.array(110, np.uint8)),
                ("ys", np.array(0.05, np.float32)),
                ("yz", np.array(100, np.uint8)),
            ],
            {},
            opset=21,
        )
    else:
        bs = pick(16, 32, 64)
        bits = pick(4, 4, 8, 2)
        k = sz(1, 100)
        kb = -(-k // bs)
        n = sz(1, 24)
        B = ints(0, 256, (n, kb, bs * bits // 8), np.uint8)
        sc = np.abs(f(n * kb, scale=0.1))
        zp = None
        if R.random() < 0.5:
            zp = ints(0, 256, (n * (-(-kb * bits // 8)),), np.uint8)
        add(
            op,
            [
                ("A", f(sz(1, 9), k)),
                ("B", B),
                ("scales", sc.reshape(n, kb)),
                ("zero_points", zp if zp is None else zp.reshape(n, -1)),
                ("g_idx", None),
                ("bias", f(n) if R.random() < 0.3 else None),
            ],
            {"K": k, "N": n, "bits": bits, "block_size": bs},
            "com.microsoft",
            tol=1e-4,
        )


def quant():
    op = pick("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "ConvInteger")
    n = sz(2, 4)
    s = [sz(1, 6) for _ in range(n)]
    t = pick(np.uint8, np.int8)
    ax = sz(0, n - 1)
    per = pick("one", "axis", "block")
    bs = 2
    if per == "block":
        s[ax] = 4
    sh = {"one": (), "axis": (s[ax],), "block": tuple(v if i != ax else v // bs for i, v in enumerate(s))}[per]
    a = {"axis": ax}
    if per == "block":
        a["block_size"] = bs
    sc = (np.abs(N.standard_normal(sh)) * 0.1 + 0.01).astype(np.float32)
    zp = ints(0, 20, sh, t) if R.random() < 0.6 else None
    if op == "QuantizeLinear":
        if zp is None and t == np.int8:
            zp = np.zeros(sh, t)
        add(op, [("x", f(*s, scale=3)), ("s", sc), ("z", zp)], a, opset=21)
    elif op == "DequantizeLinear":
        add(op, [("x", ints(0, 100, s, t)), ("s", sc), ("z", zp)], a, opset=21)
    elif op == "DynamicQuantizeLinear":
        add(op, [("x", f(*s, scale=pick(0.01, 3), off=pick(-9, 0, 9)))], {}, nout=3, opset=11)
    elif op == "ConvInteger":
        k, a = window(2)
        add(
            op,
            [
                ("x", ints(0, 256, (1, 2, 9, 8), np.uint8)),
                ("w", ints(0, 256, (3, 2, *k), np.uint8)),
                ("xz", np.array(7, np.uint8)),
                ("wz", np.array(5, np.uint8)),
            ],
            a,
            opset=10,
        )
    else:
        k, a = window(2)
        co = sz(1, 4)
        add(
            op,
            [
                ("x", ints(0, 256, (1, 2, 9, 8), np.uint8)),
                ("xs", np.array(0.02, np.float32)),
                ("xz", np.array(120, np.uint8)),
                ("w", ints(-100, 100, (co, 2, *k), np.int8)),
                ("ws", np.abs(f(co)) * 0.02 + 0.005),
                ("wz", np.zeros(co, np.int8)),
                ("ys", np.array(0.05, np.float32)),
                ("yz", np.array(100, np.uint8)),
                ("B", ints(-500, 500, (co,), np.int32)),
            ],
            a,
            opset=10,
        )


def rot():
    b, s, h, d = sz(1, 3), sz(1, 9), sz(1, 4), pick(8, 16)
    t = N.random((32, d // 2)).astype(np.float32) * 3
    a = {"interleaved": sz(0, 1)}
    pos = ints(0, 32, (b, s))
    if R.random() < 0.5:
        add(
            "RotaryEmbedding",
            [("x", f(b, h, s, d)), ("p", pos), ("c", np.cos(t)), ("s", np.sin(t))],
            a,
            "com.microsoft",
        )
    else:
        if R.random() < 0.5:
            a["num_heads"] = h
            x = f(b, s, h * d)
        else:
            x = f(b, h, s, d)
        add("RotaryEmbedding", [("x", x), ("c", np.cos(t)), ("s", np.sin(t)), ("p", pos)], a, opset=23)


def moe():
    e, h, i, t = pick(2, 4), pick(16, 32), pick(16, 24), sz(1, 9)
    act = pick("relu", "gelu", "silu", "identity", "swiglu")
    fu = 2 if act == "swiglu" else 1
    a = {"k": sz(1, 2), "activation_type": act, "normalize_routing_weights": sz(0, 1)}
    if act == "swiglu":
        a["swiglu_fusion"] = 1
        a["activation_alpha"] = 1.702
        a["activation_beta"] = 1.0
    add(
        "MoE",
        [
            ("x", f(t, h)),
            ("r", f(t, e)),
            ("w1", f(e, fu * i, h, scale=0.2)),
            ("b1", f(e, fu * i) if R.random() < 0.5 else None),
            ("w2", f(e, h, i, scale=0.2)),
            ("b2", f(e, h) if R.random() < 0.5 else None),
        ],
        a,
        "com.microsoft",
        tol=1e-4,
    )


def elem():
    op = pick(
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Pow",
        "Max",
        "Min",
        "Where",
        "Clip",
        "Mod",
        "Equal",
        "Less",
        "GreaterOrEqual",
        "And",
        "PRelu",
        "Gelu",
        "Elu",
        "Celu",
        "Selu",
        "HardSigmoid",
        "LeakyRelu",
        "Erf",
        "Softplus",
        "Mish",
        "ThresholdedRelu",
        "Sign",
        "Round",
        "Floor",
        "BitShift",
        "BiasGelu",
        "FastGelu",
        "QuickGelu",
    )
    n = sz(1, 4)
    s = [sz(1, 6) for _ in range(n)]
    u = [v if R.random() < 0.6 else 1 for v in s][sz(0, n - 1) :]
    x = f(*s)
    y = f(*u)
    if op in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
        if R.random() < 0.3:
            x = ints(-50, 50, s, np.int32)
            y = ints(1, 50, u, np.int32)
        add(op, [("a", x), ("b", y)], {}, opset=14 if op in ("Add", "Sub", "Mul", "Div") else 13)
    elif op == "Pow":
        add(op, [("a", np.abs(x) + 0.1), ("b", y)], {}, opset=15, tol=1e-4)
    elif op == "Where":
        add(op, [("c", N.random(u) < 0.5), ("a", x), ("b", f(*s))], {}, opset=16)
    elif op == "Clip":
        add(
            op,
            [
                ("a", x),
                ("l", np.array(-0.5, np.float32) if R.random() < 0.7 else None),
                ("h", np.array(0.7, np.float32) if R.random() < 0.7 else None),
            ],
            {},
            opset=13,
        )
    elif op == "Mod":
        if R.random() < 0.5:
            add(op, [("a", ints(-50, 50, s, np.int32)), ("b", ints(1, 9, u, np.int32) * pick(1, -1))], {}, opset=13)
        else:
            add(op, [("a", x * 10), ("b", y + np.sign(y) * 0.5)], {"fmod": 1}, opset=13, tol=1e-4)
    elif op in ("Equal", "Less", "GreaterOrEqual"):
        add(op, [("a", np.round(x)), ("b", np.round(y))], {}, opset={"Equal": 19, "Less": 13, "GreaterOrEqual": 16}[op])
    elif op == "And":
        add(op, [("a", x > 0), ("b", y > 0)], {}, opset=7)
    elif op == "PRelu":
        add(op, [("a", x), ("b", y)], {}, opset=16)
    elif op == "BitShift":
        add(
            op,
            [("a", ints(0, 200, s, np.uint8)), ("b", ints(0, 9, u, np.uint8))],
            {"direction": pick("LEFT", "RIGHT")},
            opset=11,
        )
    elif op in ("BiasGelu", "FastGelu"):
        add(op, [("a", x), ("b", f(s[-1]))], {}, "com.microsoft")
    elif op == "QuickGelu":
        add(op, [("a", x)], {"alpha": pick(1.702, 1.0)}, "com.microsoft")
    elif op == "Gelu":
        add(op, [("a", x * 3)], {"approximate": pick("none", "tanh")}, opset=20)
    elif op in ("Elu", "Celu", "LeakyRelu", "ThresholdedRelu"):
        add(
            op,
            [("a", x)],
            {"alpha": pick(0.5, 1.5)},
            opset={"Elu": 6, "Celu": 12, "LeakyRelu": 16, "ThresholdedRelu": 10}[op],
        )
    elif op == "HardSigmoid":
        add(op, [("a", x * 4)], {"alpha": 0.3, "beta": 0.4}, opset=6)
    elif op == "Selu":
        add(op, [("a", x)], {}, opset=6)
    else:
        add(
            op,
            [("a", x * 3)],
            {},
            opset={"Erf": 13, "Softplus": 1, "Mish": 18, "Sign": 13, "Round": 11, "Floor": 13}[op],
        )


def shaped_convt():
    n = sz(1, 2)
    k, a = window(n)
    x = f(1, 2, *[sz(2, 6) for _ in range(n)])
    w = f(2, sz(1, 3), *k)
    a.pop("pads", None)
    whole = [
        (x.shape[2 + i] - 1) * a.get("strides", [1] * n)[i] + (k[i] - 1) * a.get("dilations", [1] * n)[i] + 1
        for i in range(n)
    ]
    a["output_shape"] = [max(1, v - sz(0, 2)) for v in whole]
    add("ConvTranspose", [("X", x), ("W", w), ("B", None)], a, opset=22)


def attn_cached():
    kvh = pick(1, 2)
    h = kvh * pick(1, 2)
    d = 8
    b = sz(1, 3)
    kv = sz(2, 10)
    q = sz(1, min(kv, 4))
    a = {"is_causal": 1} if R.random() < 0.4 else {}
    lens = ints(q, kv + 1, (b,))
    mask = None
    r = R.random()
    if r < 0.3:
        mask = f(q, kv)
    elif r < 0.6:
        mask = N.random((b, 1, q, kv)) < 0.8
        mask[..., 0] = True
    outs = ["Y"]
    if R.random() < 0.3:
        outs = ["Y", "", "", "qk"]
        a["qk_matmul_output_mode"] = sz(0, 3)
    add(
        "Attention",
        [("Q", f(b, h, q, d)), ("K", f(b, kvh, kv, d)), ("V", f(b, kvh, kv, d)), ("attn_mask", mask)]
        + [("past_key", None), ("past_value", None), ("nonpad_kv_seqlen", lens)],
        a,
        opset=24,
        outs=outs,
        tol=5e-5,
    )


def bnb():
    block = pick(16, 32, 64)
    n, k = sz(1, 40), block * sz(1, 6)
    qt = sz(0, 1)
    add(
        "MatMulBnb4",
        [("A", f(sz(1, 9), k)), ("B", ints(0, 256, ((n * k + 1) // 2,), np.uint8)), ("absmax", np.abs(f(n * k // block)))],
        {"K": k, "N": n, "block_size": block, "quant_type": qt},
        "com.microsoft",
        tol=1e-4,
    )


def gather_blocks():
    block = pick(16, 32, 64)
    rows, cols = sz(2, 9), block * sz(1, 4)
    bits = pick(4, 8)
    data = ints(0, 256, (rows, cols * bits // 8), np.uint8)
    zeros = ints(0, 256, (rows, -(-(cols // block) * bits // 8)), np.uint8) if R.random() < 0.5 else None
    add(
        "GatherBlockQuantized",
        [("data", data), ("indices", ints(0, rows, [sz(1, 4) for _ in range(sz(1, 2))]))]
        + [("scales", np.abs(f(rows, cols // block))), ("zero_points", zeros)],
        {"bits": bits, "block_size": block, "gather_axis": 0, "quantize_axis": 1},
        "com.microsoft",
        tol=1e-4,
    )


def plain():
    op = pick(
        *"HardSwish Swish Tanh Sigmoid Exp Log Sqrt Reciprocal Neg Abs Ceil Sin Cos Relu Softsign Not Or Xor Less "
        "LessOrEqual Greater Mean Sum IsNaN Reshape Squeeze Unsqueeze Flatten Cast Half".split()
    )
    s = [sz(1, 7) for _ in range(sz(1, 4))]
    x = f(*s, scale=2.0)
    opset = {"HardSwish": 22, "Swish": 24, "Mean": 13, "Sum": 13, "Flatten": 21, "Reshape": 21}.get(op, 21)
    if op in ("Log", "Sqrt", "Reciprocal"):
        x = np.abs(x) + np.float32(0.01)
    if op in ("Or", "Xor"):
        add(op, [("a", x > 0), ("b", f(*s) > 0)], {}, opset=7)
    elif op == "Not":
        add(op, [("a", x > 0)], {}, opset=1)
    elif op in ("Less", "LessOrEqual", "Greater"):
        add(op, [("a", np.round(x)), ("b", np.round(f(*s)))], {}, opset=16 if op == "LessOrEqual" else 13)
    elif op in ("Mean", "Sum"):
        add(op, [(f"x{i}", f(*s)) for i in range(sz(1, 4))], {}, opset=13)
    elif op == "IsNaN":
        x[x > 1] = np.nan
        add(op, [("x", x)], {}, opset=20)
    elif op == "Reshape":
        add(op, [("x", x), ("s", np.array([-1, s[-1]]))], {}, opset=21)
    elif op == "Squeeze":
        add(op, [("x", x.reshape(s + [1])), ("a", np.array([-1]))], {}, opset=21)
    elif op == "Unsqueeze":
        add(op, [("x", x), ("a", np.array([0, sz(1, len(s))]))], {}, opset=21)
    elif op == "Flatten":
        add(op, [("x", x)], {"axis": sz(-len(s), len(s))}, opset=21)
    elif op == "Cast":
        to = pick(TensorProto.INT32, TensorProto.FLOAT16, TensorProto.BOOL, TensorProto.INT64, TensorProto.INT8)
        add(op, [("x", x * 9)], {"to": to}, opset=19, tol=1e-3)
    elif op == "Half":
        which = pick("MatMul", "Add", "Mul", "Softmax", "LayerNormalization", "Gelu")
        y = (x / 2).astype(np.float16)
        more = {
            "MatMul": [("b", f(s[-1], sz(1, 9)).astype(np.float16))],
            "LayerNormalization": [("g", f(s[-1]).astype(np.float16)), ("b", f(s[-1]).astype(np.float16))],
        }.get(which, [("b", f(*s).astype(np.float16))] if which in ("Add", "Mul") else [])
        add(which, [("a", y)] + more, {}, opset={"Gelu": 20, "LayerNormalization": 17}.get(which, 13), tol=4e-3)
    else:
        add(op, [("x", x)], {}, opset=opset)


gens = dict(
    conv=conv,
    convt=convt,
    pool=pool,
    resize=resize,
    grid=grid,
    mha=mha,
    msattn=msattn,
    gqa=gqa,
    attn23=attn23,
    norm=norm,
    reduce=reduce,
    gather=gather,
    layout=layout,
    mm=mm,
    quant=quant,
    rot=rot,
    moe=moe,
    elem=elem,
    shaped_convt=shaped_convt,
    attn_cached=attn_cached,
    bnb=bnb,
    gather_blocks=gather_blocks,
    plain=plain,
)
for name, g in gens.items():
    if only and name not in only:
        continue
    for _ in range(count):
        try:
            g()
        except Exception as e:
            refused.setdefault("gen " + name, []).append(repr(e)[:100])
os.makedirs(out, exist_ok=True)
save_file(tensors, out + "/data.safetensors")
json.dump(
    {
        "format": 1,
        "family": "ort",
        "group": "fresh",
        "split": "x",
        "versions": {},
        "n_cases": len(cases),
        "cases": cases,
    },
    open(out + "/index.json", "w"),
)
print(len(cases), "cases")
for k, v in refused.items():
    print("refused", k, len(v), v[0])
