#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# On a machine with a GPU: builds with what is there, runs the tests and all measurements, prints tables.
#
#   tests/gpu/run.sh [--small] [--gpus N] [--parts PART,...] [BUILD]
#
# BUILD: the build folder (default: reprise-gpu in $TMPDIR or /tmp). OUT (a variable, default ./gpu-report) gets report.txt,
# a file of JSON for each set of rows, and a log of each part. LIMIT (default 475): seconds for everything; what does not fit
# is cut off and named. With --small and --gpus 0 it runs anywhere, to test itself.
#
# Parts, in this order, the figures that matter most first: loops, programs, worlds, nccl, sums, solvers, sanitizer, tests.
# Where there are cores enough the tests are built, and run on the CPU, on half of them beside the parts behind `loops`.
#
# Nothing stops it but the clock: a part that fails is named, with the end of its log, and the next one begins.
# Exit status: 0 if every part was there and succeeded.
set -u

gpus=1 small=() parts=loops,programs,worlds,nccl,sums,solvers,sanitizer,tests
build=${TMPDIR:-/tmp}/reprise-gpu
while [[ $# -gt 0 ]]; do
  case $1 in
    --small) small=(--small) ;;
    --gpus) gpus=${2:?--gpus needs a number}; shift ;;
    --parts) parts=${2:?--parts needs names}; shift ;;
    -*) echo "usage: tests/gpu/run.sh [--small] [--gpus N] [--parts PART,...] [BUILD]" >&2; exit 2 ;;
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
: >"$out/failed"

wanted() { [[ ,$parts, == *,$1,* ]]; }
say() { printf '%s\n' "$*" | tee -a "$report"; }
have() { command -v "$1" >/dev/null 2>&1; }

# left MOST KEEP: the seconds that a part may take, MOST at most, KEEP of them left for what follows.
left() {
  local rest=$((limit - SECONDS - $2))
  echo $((rest < $1 ? rest : $1))
}

# fail PART WHY
fail() {
  printf '%s; ' "$1" >>"$out/failed" # a file: some parts are processes beside this one
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
# A toolkit that is elsewhere is where its compiler is.
toolkit=
if have nvcc; then
  toolkit=$(readlink -f "$(command -v nvcc)") toolkit=${toolkit%/bin/*}
  [[ -e /usr/local/cuda/lib64 ]] || export CUDA_HOME=${CUDA_HOME:-$toolkit}
fi
# Python packages bring NVIDIA's libraries, too. wheel NAME: the newest such file there.
wheel() {
  [[ -n $python ]] && "$python" -c 'import glob, sys, nvidia
found = [f for p in nvidia.__path__ for f in glob.glob(p + "/*/lib/" + sys.argv[1])]
print(max(found, default=""))' "$1" 2>/dev/null
}
here() { in_loader "$1" || compgen -G "/usr/local/cuda/lib*/$1.[0-9]*" >/dev/null || compgen -G "${CUDA_HOME:-/nowhere}/lib*/$1.[0-9]*" >/dev/null; }
if ! here libnvrtc.so; then
  found=$(wheel 'libnvrtc.so.1[0-9]')
  [[ -z $found ]] || { export REPRISE_NVRTC=$found; say "NVRTC: $found"; }
fi
if [[ -z ${REPRISE_NCCL:-} ]] && ! in_loader libnccl.so.2; then
  found=$(wheel libnccl.so.2)
  [[ -z $found ]] || { export REPRISE_NCCL=$found; say "NCCL: $found"; }
fi
for library in libcublas libcusolver libcusparse libcufft; do
  here $library.so && continue
  found=$(wheel "$library.so.[0-9]*")
  [[ -n $found ]] || { say "$library.so is not there"; continue; }
  export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}${found%/*} # last: others keep their own
  say "$library: $found"
done

# ---- building -------------------------------------------------------------------------------------------------

generator=Ninja keep_going=(-k 0)
have ninja || generator="Unix Makefiles" keep_going=(-k)
cuda_program=
cuda_status=
if have nvcc && wanted loops; then
  arch=sm_$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -cd '0-9')
  [[ $arch =~ ^sm_[0-9]+$ ]] || arch=sm_90
  # Its libraries need not be where the loader looks.
  timeout 100 nvcc -O3 -std=c++17 -arch="$arch" "$source/tests/gpu/cg_cusparse.cu" -lcusparse -lcublas \
    -Xlinker -rpath="$toolkit/lib64" -o "$build/cg_cusparse" >"$out/cuda.log" 2>&1 &
  cuda_status=$!
fi
if part configure 60 0 build.log cmake --preset minimal -S "$source" -B "$build" -G "$generator" -D RPI_WERROR=OFF; then
  part build 170 200 build.log cmake --build "$build" -j "$cores" --target bench_gpu nccl_alone test_programs \
    -- "${keep_going[@]}"
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

# ---- measurements -----------------------------------------------------------------------------------------------

export CUPY_CACHE_DIR=$build/cupy TORCHINDUCTOR_CACHE_DIR=$build/inductor TRITON_CACHE_DIR=$build/triton
export XLA_PYTHON_CLIENT_PREALLOCATE=false TF_CPP_MIN_LOG_LEVEL=3
bench=$build/tests/bench_gpu
bench_options=(${small[@]+"${small[@]}"} --gpus "$gpus")
[[ -x $bench ]] || fail "measurements" "$bench was not built"
on=() # what keeps a part to its half of the cores

# measure SET SECONDS KEEP OTHERS: the rows of a set beside others, and its counts.
measure() {
  local seconds
  [[ -x $bench ]] && wanted "$1" || return
  export REPRISE_CACHE_DIR=$build/bench-cache
  if [[ -z $python ]]; then
    part "$1, without others" "$2" "$3" "table_$1.log" ${on[@]+"${on[@]}"} "$bench" "${bench_options[@]}" --set "$1"
    part "$1, counts" 60 "$3" "table_$1.log" ${on[@]+"${on[@]}"} "$bench" "${bench_options[@]}" --set "$1" --checks
    tee -a "$report" <"$out/table_$1.log"
    return
  fi
  seconds=$(left "$2" $(($3 + 10)))
  ((seconds > 20)) || seconds=20
  part "$1" $((seconds + 10)) "$3" "table_$1.log" ${on[@]+"${on[@]}"} "$python" "$source/tests/gpu/compare.py" \
    --bench "$bench" --set "$1" --cuda "$cuda_program" --others "$4" "${bench_options[@]}" --seconds "$seconds" --out "$out"
  # The last table there: of rows so far where it was cut off.
  awk '/^us per pass/ {from = NR} {line[NR] = $0} END {for (i = from; from && i <= NR; i++) print line[i]}' \
    "$out/table_$1.log" | tee -a "$report"
}

# counts PART SECONDS KEEP COMMAND...: what prints counts, as a table.
counts() {
  local name=$1
  part "$1" "$2" "$3" "$1.log" "${@:4}"
  if [[ -n $python ]]; then
    "$python" "$source/tests/gpu/compare.py" --lines <(grep '^{' "$out/$name.log") | tee -a "$report"
  else
    grep '^{' "$out/$name.log" | tee -a "$report"
  fi
}

measure loops 200 140 cupy,jax,torch

# ---- tests ----------------------------------------------------------------------------------------------------

# tests NAME SECONDS KEEP GPUS JOBS CTEST-ARGUMENTS...
tests() {
  local name=$1 seconds=$2 keep=$3 card=$4 jobs=$5 log=tests_on_$4.log
  shift 5
  part "$name" "$seconds" "$keep" "$log" env -u REPRISE_CACHE_DIR REPRISE_GPUS="$card" \
    ctest --test-dir "$build" -j "$jobs" --timeout 60 --output-on-failure --no-tests=error "$@"
  # Which tests failed, and how many did not.
  awk '/Test +#[0-9]+: .*\*\*\*[A-RT-Z]/ {print} # all but ***Skipped
    /tests passed/ {print}' "$out/$log" 2>/dev/null | tee -a "$report"
}

# What needs no GPU, on so many cores.
tests_of_host() {
  part "build of the tests" 200 20 build_tests.log cmake --build "$build" -j "$1" -- "${keep_going[@]}"
  [[ ! -e $build/CTestTestfile.cmake ]] || tests "tests on the CPU" 120 5 0 "$1" -L 'unit|golden'
}

beside=
half=$((cores / 2))
# halves: each half of the cores can be had by its numbers, which is not so where we are given others than the first.
halves() {
  have taskset && taskset -c "0-$((half - 1))" true 2>/dev/null && taskset -c "$half-$((cores - 1))" true 2>/dev/null
}
if wanted tests && ((cores >= 8)) && halves; then
  (
    taskset -cp "$half-$((cores - 1))" "$BASHPID" >/dev/null
    tests_of_host "$half"
  ) &
  beside=$!
  on=(taskset -c "0-$((half - 1))")
fi

# ---- the same results, ranks, other sets of rows -------------------------------------------------------------------

programs=$build/tests/test_programs
if wanted programs && [[ -x $programs ]]; then
  # Without functions of class M, which have other bits on a GPU: what is left must have those of the CPU.
  way=(--without 8 --gpu card --cache "$build/programs-cache" --keep)
  seeds=100 compiled=15
  ((gpus > 0)) || way=()
  [[ ${#small[@]} -eq 0 ]] || seeds=6 compiled=1
  part "random programs in tier 0" 40 120 programs.log ${on[@]+"${on[@]}"} "$programs" 20001 $((20001 + seeds)) \
    ${way[@]+"${way[@]}" --only "--tier 0"}
  part "random programs in tier 1" 30 110 programs.log ${on[@]+"${on[@]}"} "$programs" 20501 $((20501 + compiled)) \
    ${way[@]+"${way[@]}" --only "--tier 1"}
  part "random programs on ranks" 25 100 programs.log ${on[@]+"${on[@]}"} "$programs" 21001 $((21001 + seeds / 2)) --ranks \
    ${way[@]+"${way[@]}" --only "--tier 0"}
fi
if wanted worlds && [[ -x $bench ]]; then
  REPRISE_CACHE_DIR=$build/bench-cache counts worlds 45 90 ${on[@]+"${on[@]}"} "$bench" "${bench_options[@]}" --worlds
fi
if wanted nccl && [[ -x $build/tests/nccl_alone ]] && ((gpus > 0)); then
  counts nccl 50 80 "$build/tests/nccl_alone" ${small[@]+300000}
fi
measure sums 55 60 cupy
measure solvers 60 30 cupy

# ---- memory accesses, and races between threads --------------------------------------------------------------------

# sanitize TOOL SECONDS ROW...
sanitize() {
  REPRISE_CACHE_DIR=$build/bench-cache part "$1" "$2" 5 sanitizer.log compute-sanitizer --tool "$1" --error-exitcode 9 \
    "$bench" --small --gpus "$gpus" "${@:3}"
}
if wanted sanitizer && [[ -x $bench ]]; then
  if have compute-sanitizer; then
    sanitize memcheck 40 chain_f64 stencil_f32 cg spmv_power moments tiny
    sanitize racecheck 40 cg spmv_power spmv_giant moments
  else
    say "== sanitizer: compute-sanitizer is not there"
  fi
fi

# ---- the rest of the tests ----------------------------------------------------------------------------------------

if wanted tests; then
  if [[ -n $beside ]]; then
    wait "$beside"
  else
    tests_of_host "$cores"
  fi
  if [[ -e $build/CTestTestfile.cmake ]] && ((gpus > 0)); then
    # Those whose contexts take the GPU; several share it. Not those that have other libraries in the place of NVIDIA's, none
    # that know class M's bits of the CPU, and none of what only contexts without a GPU do.
    on_gpu='^(test_api_|test_array_|test_csr_|test_solve_|test_semantics_|test_fusion|test_index_data|test_stat|test_cuda|test_gpu|test_nvrtc|test_lanes_nvrtc|test_explain)'
    not_there='^(test_api_systems|test_api_triangle|test_api_gpu.*|test_api_exchange.*|test_api_several.*|test_api_repeat.*|test_api_boxes|test_api_mm_write|test_semantics_math)$'
    tests "tests on the GPU" 100 0 "$gpus" 6 -L 'unit|golden' -R "$on_gpu" -E "$not_there"
  fi
fi

say ""
if [[ -s $out/failed ]]; then
  say "$SECONDS s; failed or cut off: $(cat "$out/failed")"
  exit 1
fi
say "$SECONDS s; all parts went well"
