#!/usr/bin/env bash
# Measures a GPU in one go: is it right, how fast is it, how fast is PyTorch on the same card.
# Writes report.json, report.md (to be pasted into docs/BENCHMARKS.md) and the raw output of every step.
# `tools/measure-gpu.sh --help` says what can be set. docs/BENCHMARKS.md says how to read the tables.
set -uo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(dirname "$here")"

bin="" adapter="best" minutes=9 out="" vulkan="" packs="" python="" commit="" torch=1 dry=0
usage() {
    cat <<'TEXT'
usage: tools/measure-gpu.sh [options]
  --bin DIR       folder with the binaries `omma` and `kernels-test`; without it they are built (cargo build --release)
  --adapter A     adapter by index or part of its name (default: best)
  --minutes N     all steps together take at most this long (default 9); a step that is stopped keeps what it wrote
  --out DIR       where results go (default: target/measure/DATE)
  --vulkan DIR    folder with a Vulkan loader, for a machine without one: libvulkan.so.1, or Debian packages (*.deb)
  --packs DIR     conformance packs (default: ../shared/ops beside the repository or $OMMA_SHARED/ops, if it is there)
  --python PROG   the Python that has torch (default: python3)
  --no-torch      leave PyTorch out
  --commit HASH   commit of the binaries, where this is no git checkout
  --dry-run       say what would run and what is missing; run nothing
TEXT
}
while [ $# -gt 0 ]; do
    case "$1" in
        --bin) bin="$2"; shift 2 ;;
        --adapter) adapter="$2"; shift 2 ;;
        --minutes) minutes="$2"; shift 2 ;;
        --out) out="$2"; shift 2 ;;
        --vulkan) vulkan="$2"; shift 2 ;;
        --packs) packs="$2"; shift 2 ;;
        --python) python="$2"; shift 2 ;;
        --commit) commit="$2"; shift 2 ;;
        --no-torch) torch=0; shift ;;
        --dry-run) dry=1; shift ;;
        -h | --help) usage; exit 0 ;;
        *) echo "measure-gpu: unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
done
case "$minutes" in '' | *[!0-9]*) echo "measure-gpu: --minutes takes a whole number" >&2; exit 2 ;; esac
command="tools/measure-gpu.sh --minutes $minutes --adapter $adapter"
started=$(date +%s)
deadline=$((started + minutes * 60))
out="${out:-$root/target/measure/$(date -u +%Y-%m-%dT%H%M%SZ)}"
python="${python:-python3}"
packs="${packs:-${OMMA_SHARED:-$root/../shared}/ops}"
[ -n "$commit" ] || commit="$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)"
mkdir -p "$out/raw" || exit 1
raw="$out/raw"

say() { echo "measure-gpu: $*" >&2; }
left() { echo $((deadline - $(date +%s))); }

# A loader that is brought along, and the ICD of the driver where nobody registered it.
use_vulkan() {
    if [ -n "$vulkan" ]; then
        local lib="$vulkan"
        if compgen -G "$vulkan/*.deb" >/dev/null; then
            for deb in "$vulkan"/*.deb; do dpkg -x "$deb" "$out/vulkan" || exit 1; done
            lib="$(dirname "$(find "$out/vulkan" -name 'libvulkan.so.1' | head -1)")"
        fi
        [ -e "$lib/libvulkan.so.1" ] || { say "there is no libvulkan.so.1 in $vulkan"; exit 1; }
        export LD_LIBRARY_PATH="$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    fi
    [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] || return 0
    local found
    for found in /usr/share/vulkan/icd.d /etc/vulkan/icd.d /usr/local/share/vulkan/icd.d; do
        compgen -G "$found/nvidia*.json" >/dev/null && return 0
    done
    found="$(compgen -G '/usr/local/nvidia/share/vulkan/icd.d/*.json' | head -1)"
    if [ -z "$found" ] && ldconfig -p 2>/dev/null | grep -q libGLX_nvidia.so.0; then
        found="$out/nvidia_icd.json"
        echo '{"file_format_version": "1.0.0", "ICD": {"library_path": "libGLX_nvidia.so.0", "api_version": "1.3.0"}}' >"$found"
    fi
    [ -z "$found" ] || export VK_DRIVER_FILES="$found" VK_ICD_FILENAMES="$found"
}

report() {
    if command -v "$python" >/dev/null; then
        "$python" "$here/measure_report.py" "$out"
    else
        say "no $python: the raw results in $raw are not put together"
    fi
}
# Step NAME: at most SHARE percent of the whole time, and no more than is left. What it prints goes to raw/NAME.txt.
step() {
    local name="$1" share="$2" begin status limit
    shift 2
    limit=$((minutes * 60 * share / 100))
    [ "$limit" -le "$(left)" ] || limit="$(left)"
    if [ "$dry" = 1 ]; then
        echo "$name (at most $((minutes * 60 * share / 100)) s): $*"
        return
    fi
    if [ "$limit" -lt 5 ]; then
        echo "$name skipped 0 0" >>"$raw/steps"
        say "$name: no time left"
        return
    fi
    say "$name, at most $limit s"
    current="$name"
    begin=$(date +%s)
    timeout --kill-after=5 "$limit" "$@" >"$raw/$name.txt" 2>"$raw/$name.err" &
    child=$!
    wait "$child"
    status=$?
    child=""
    echo "$name ran $status $(($(date +%s) - begin))" >>"$raw/steps"
    [ "$status" = 0 ] || say "$name ended with $status: $(tail -n 1 "$raw/$name.err")"
    report >/dev/null
}
child="" current="before the first step"
stopped() {
    [ -z "$child" ] || kill "$child" 2>/dev/null
    echo "${current// /_} ran 130 0" >>"$raw/steps"
    say "interrupted; what there is goes into $out/report.md"
    report
    exit 130
}
trap stopped INT TERM

use_vulkan
if [ -z "$bin" ]; then
    bin="$root/target/release"
    if [ "$dry" = 1 ]; then
        echo "build: cargo build --release --package omma --package kernels-test"
    else
        (cd "$root" && cargo build --release --package omma --package kernels-test) || exit 1
        # Building is not measuring.
        deadline=$(($(date +%s) + minutes * 60))
    fi
elif [ ! -x "$bin/omma" ] || [ ! -x "$bin/kernels-test" ]; then
    say "$bin does not hold the binaries omma and kernels-test"
    [ "$dry" = 1 ] || exit 1
fi
rm -f "$raw/steps"
printf '%s\n' "date $(date -u +%Y-%m-%d)" "commit $commit" "command $command" "adapter $adapter" >"$raw/about"

# A decoder of 1.1 billion parameters, of the shape of TinyLlama (Zhang et al. 2024).
mkdir -p "$raw/llama"
cat >"$raw/llama/config.json" <<'JSON'
{"model_type": "llama", "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32,
 "num_key_value_heads": 4, "vocab_size": 32000, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5}
JSON
omma=("$bin/omma" --adapter "$adapter")
if command -v nvidia-smi >/dev/null; then
    step card 5 nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit --format=csv
elif command -v vulkaninfo >/dev/null; then
    step card 5 vulkaninfo --summary
fi
step doctor 10 "${omma[@]}" doctor --json
step test 35 "$bin/kernels-test" test --adapter "$adapter" --json "$raw/test.json"
[ ! -d "$packs" ] || step conformance 20 "$bin/kernels-test" conformance "$packs" --adapter "$adapter" --json "$raw/conformance.json"
step ceilings 10 "${omma[@]}" bench ceilings --json
step kernels 25 "${omma[@]}" bench kernels --json
step vit 20 "${omma[@]}" bench model --json
step vit_f16 20 "${omma[@]}" bench model --weights f16 --json
if [ "$torch" = 1 ]; then
    if "$python" -c 'import torch' 2>/dev/null; then
        step torch 30 "$python" "$here/measure_torch.py" "$out"
    else
        say "$python has no torch: the tables will have no peer"
        [ "$dry" = 1 ] || echo "torch absent 0 0" >>"$raw/steps"
    fi
fi
step llama_f16 40 "${omma[@]}" bench model "$raw/llama" --made-up --weights f16 --prompt-tokens 512 --tokens 32 --json
step llama_bf16 40 "${omma[@]}" bench model "$raw/llama" --made-up --weights bf16 --prompt-tokens 512 --tokens 32 --json
step perf 40 "$bin/kernels-test" perf --adapter "$adapter" --json "$raw/perf.json"
[ "$dry" = 1 ] && exit 0
report
