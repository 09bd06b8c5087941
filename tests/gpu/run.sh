#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# On a machine with a GPU: builds with what is there, runs the tests and all measurements, prints a table.
#
#   tests/gpu/run.sh [--small] [--gpus N] [BUILD]
#
# BUILD: the build folder (default: reprise-gpu in $TMPDIR or /tmp). OUT (a variable, default ./gpu-report) gets report.txt,
# bench.json and a log of each part. LIMIT (default 475): seconds for everything; what does not fit is cut off and named.
# With --small and --gpus 0 it runs anywhere, to test itself.
#
# Nothing stops it but the clock: a part that fails is named, with the end of its log, and the next one begins.
# Exit status: 0 if every part was there and succeeded.
set -u

gpus=1 small=()
build=${TMPDIR:-/tmp}/reprise-gpu
while [[ $# -gt 0 ]]; do
  case $1 in
    --small) small=(--small) ;;
    --gpus) gpus=${2:?--gpus needs a number}; shift ;;
    -*) echo "usage: tests/gpu/run.sh [--small] [--gpus N] [BUILD]" >&2; exit 2 ;;
    *) build=$1 ;;
  esac
  shift
done
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
limit=${LIMIT:-475}
out=${OUT:-gpu-report}
mkdir -p "$out" "$build" || exit 1
out=$(cd "$out" && pwd) && build=$(cd "$build" && pwd) || exit 1
report=$out/report.txt
: >"$report"
failed=()

say() { printf '%s\n' "$*" | tee -a "$report"; }
have() { command -v "$1" >/dev/null 2>&1; }

# left MOST KEEP: the seconds that a part may take, MOST at most, KEEP of them left for what follows.
left() {
  local rest=$((limit - SECONDS - $2))
  echo $((rest < $1 ? rest : $1))
}

# fail PART WHY
fail() {
  failed+=("$1")
  say "== $1: FAILED, $2"
}

# part NAME SECONDS KEEP LOG COMMAND...: runs it, all it says going to the log; its status. What the clock ended is 124.
part() {
  local name=$1 most log=$out/$4 before=$SECONDS status
  most=$(left "$2" "$3")
  shift 4
  if ((most < 5)); then
    fail "$name" "cut off: the time was over before it began"
    return 124
  fi
  printf '\n== %s: %s\n' "$name" "$*" >>"$log"
  timeout -k 5 "$most" "$@" >>"$log" 2>&1 </dev/null
  status=$?
  if ((status == 0)); then
    say "== $name: well, $((SECONDS - before)) s"
  elif ((status == 124 || status == 137)); then
    fail "$name" "cut off after $((SECONDS - before)) s; the end of its log:"
    tail -n 5 "$log" | tee -a "$report"
  else
    fail "$name" "status $status after $((SECONDS - before)) s; the end of its log:"
    tail -n 12 "$log" | tee -a "$report"
  fi
  return "$status"
}

# ---- the machine ----------------------------------------------------------------------------------------------

rm -f "$out"/*.log "$out/bench.json"
export PYTHONDONTWRITEBYTECODE=1
python=$(command -v python3) || python=
cores=$(nproc)
say "$(date -u '+%Y-%m-%d %H:%M') UTC, $cores cores, $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
if have nvidia-smi; then
  say "GPU: $(nvidia-smi --query-gpu=name,memory.total,driver_version,compute_cap --format=csv,noheader 2>&1 | head -n 1)"
else
  say "GPU: nvidia-smi is not there"
fi
PATH=$PATH:/usr/local/cuda/bin
say "$(gcc --version 2>&1 | head -n 1); $(cmake --version 2>&1 | head -n 1); nvcc: $(nvcc --version 2>&1 | grep -o 'release.*' || echo none)"

# in_loader NAME: the dynamic loader finds such a library by itself.
in_loader() {
  local folder folders
  ldconfig -p 2>/dev/null | grep -q "$1" && return 0
  IFS=: read -r -a folders <<<"${LD_LIBRARY_PATH:-}"
  for folder in ${folders[@]+"${folders[@]}"}; do
    compgen -G "$folder/$1*" >/dev/null && return 0
  done
  return 1
}
if ! in_loader libcuda.so.1; then
  for folder in /usr/local/nvidia/lib64 /usr/local/nvidia/lib /usr/lib/wsl/lib; do
    if [[ -e $folder/libcuda.so.1 ]]; then
      export LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
      say "libcuda.so.1 is in $folder"
      break
    fi
  done
fi
if ! in_loader libnvrtc.so && ! compgen -G '/usr/local/cuda/lib*/libnvrtc.so.1*' >/dev/null && [[ -n $python ]]; then
  found=$("$python" -c 'import glob, nvidia
print(next(iter(sorted(glob.glob(list(nvidia.__path__)[0] + "/*/lib/libnvrtc.so.1[0-9]"))[::-1]), ""))' 2>/dev/null)
  [[ -z $found ]] || { export REPRISE_NVRTC=$found; say "NVRTC: $found"; }
fi

# ---- building -------------------------------------------------------------------------------------------------

generator=Ninja keep_going=(-k 0)
have ninja || generator="Unix Makefiles" keep_going=(-k)
cuda_program=
cuda_status=
if have nvcc; then
  arch=sm_$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -cd '0-9')
  [[ $arch =~ ^sm_[0-9]+$ ]] || arch=sm_90
  timeout 100 nvcc -O3 -std=c++17 -arch="$arch" "$source/tests/gpu/cg_cusparse.cu" -lcusparse -lcublas \
    -o "$build/cg_cusparse" >"$out/cuda.log" 2>&1 &
  cuda_status=$!
fi
if part configure 60 0 build.log cmake --preset minimal -S "$source" -B "$build" -G "$generator" -D RPI_WERROR=OFF; then
  part build 200 150 build.log cmake --build "$build" -j "$cores" -- "${keep_going[@]}"
fi
if [[ -n $cuda_status ]]; then
  if wait "$cuda_status"; then
    cuda_program=$build/cg_cusparse
  else
    fail "cg_cusparse" "nvcc cannot build it; the end of its log:"
    tail -n 5 "$out/cuda.log" | tee -a "$report"
  fi
fi
cat "$out/cuda.log" >>"$out/build.log" 2>/dev/null
rm -f "$out/cuda.log"

# ---- tests ----------------------------------------------------------------------------------------------------

# tests NAME SECONDS KEEP GPUS JOBS CTEST-ARGUMENTS...
tests() {
  local name=$1 seconds=$2 keep=$3 on=$4 jobs=$5
  shift 5
  part "$name" "$seconds" "$keep" tests.log env REPRISE_GPUS="$on" \
    ctest --test-dir "$build" -j "$jobs" --timeout 60 --output-on-failure --no-tests=error "$@"
  # Of this part's lines alone: which tests failed, and how many did not.
  awk -v start="== $name:" 'index($0, start) == 1 {on = 1}
    on && /Test +#[0-9]+: .*\*\*\*[A-RT-Z]/ {print} # all but ***Skipped
    on && /tests passed/ {print}' "$out/tests.log" 2>/dev/null | tee -a "$report"
}

if [[ -e $build/CTestTestfile.cmake ]]; then
  tests "tests on the CPU" 80 230 0 "$cores" -L 'unit|golden'
  # Those whose contexts take the GPU; several share it.
  on_gpu='^(test_api_|test_array_|test_csr_|test_solve_|test_semantics_|test_fusion|test_index_data|test_stat|test_cuda|test_device|test_gpu|test_nvrtc|test_lanes_nvrtc|test_explain)'
  tests "tests on the GPU" 80 200 "$gpus" 6 -L 'unit|golden' -R "$on_gpu"
fi

# ---- measurements -----------------------------------------------------------------------------------------------

export CUPY_CACHE_DIR=$build/cupy TORCHINDUCTOR_CACHE_DIR=$build/inductor TRITON_CACHE_DIR=$build/triton
export XLA_PYTHON_CLIENT_PREALLOCATE=false TF_CPP_MIN_LOG_LEVEL=3 REPRISE_CACHE_DIR=$build/bench-cache
bench=$build/tests/bench_gpu
if [[ ! -x $bench ]]; then
  fail "measurements" "$bench was not built"
elif [[ -z $python ]]; then
  part "measurements without others" 120 60 bench_table.log "$bench" ${small[@]+"${small[@]}"} --gpus "$gpus"
  tee -a "$report" <"$out/bench_table.log"
else
  seconds=$(left 210 60)
  ((seconds > 30)) || seconds=30
  part "measurements" $((seconds + 15)) 40 bench_table.log "$python" "$source/tests/gpu/compare.py" --bench "$bench" \
    --cuda "$cuda_program" --others cupy,jax,torch --gpus "$gpus" ${small[@]+"${small[@]}"} --seconds "$seconds" \
    --out "$out"
  # The last table there: of rows so far where it was cut off.
  awk '/^us per pass/ {from = NR} {line[NR] = $0} END {for (i = from; from && i <= NR; i++) print line[i]}' \
    "$out/bench_table.log" | tee -a "$report"
fi

# ---- memory accesses, and random programs with the rest of the time -----------------------------------------------

export REPRISE_CACHE_DIR=$build/sanitizer-cache
if have compute-sanitizer; then
  check=(compute-sanitizer --tool memcheck --error-exitcode 9)
  [[ ! -x $bench ]] || part "memcheck of four loops" 50 10 sanitizer.log "${check[@]}" "$bench" --small --gpus "$gpus" \
    chain_f64 stencil_f32 cg tiny
  [[ ! -x $build/tests/test_api_scatter ]] || part "memcheck of scatters" 40 5 sanitizer.log \
    env REPRISE_GPUS="$gpus" "${check[@]}" "$build/tests/test_api_scatter"
else
  say "== memcheck: compute-sanitizer is not there"
fi
if [[ -x $build/tests/test_programs ]]; then
  part "random programs" 60 0 tests.log env REPRISE_GPUS="$gpus" "$build/tests/test_programs" 1 101
fi

say ""
if ((${#failed[@]} > 0)); then
  say "$SECONDS s; failed or cut off: $(printf '%s; ' "${failed[@]}")"
  exit 1
fi
say "$SECONDS s; all parts went well"
