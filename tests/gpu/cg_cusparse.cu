// SPDX-License-Identifier: Apache-2.0
// tests/gpu/cg_cusparse.cu -- what a CUDA programmer writes by hand with the vendor's libraries: conjugate gradients on
// the 5-point Poisson matrix by cuSPARSE and cuBLAS, and a copy within the GPU, whose speed is the measure of others.
//
// It is a server of tests/gpu/compare.py: it reads `hello`, `prepare ROW SIZE`, `sample`, `free`, and answers each with a
// line of JSON. Rows: `cg` (SIZE is the grid's side), `copy` (SIZE is the bytes read and written).
//
// How: scalars stay on the GPU (pointer mode of the device), so an iteration waits for nothing: SpMV, two dot products,
//      three vector updates, and two kernels of one thread for alpha and beta. The best SpMV algorithm of those that
//      cuSPARSE has for CSR is found by trying; an iteration is launched as a CUDA graph where that captures.
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusparse.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

struct failure {
  std::string why;
};

#define CHECK(call) \
  do { \
    const int check_code = (int)(call); \
    if (check_code != 0) throw failure{std::string(#call) + " gives " + std::to_string(check_code)}; \
  } while (0)

static cudaStream_t stream;

static double now() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

template <typename T> static T *device(size_t n) {
  void *p = nullptr;
  const cudaError_t e = cudaMalloc(&p, n * sizeof(T));
  if (e != cudaSuccess) throw failure{std::string("cudaMalloc: ") + cudaGetErrorString(e)};
  return (T *)p;
}

struct job {
  virtual void restart() {}
  virtual void pass() = 0;
  virtual ~job() {}
};

// ---- a copy ----------------------------------------------------------------------------------------------------------

struct copy_job : job {
  size_t bytes;
  char *from, *to;
  explicit copy_job(size_t moved) : bytes(moved / 2), from(device<char>(bytes)), to(device<char>(bytes)) {
    CHECK(cudaMemsetAsync(from, 0x5a, bytes, stream));
  }
  void pass() override { CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream)); }
  ~copy_job() override {
    cudaFree(from);
    cudaFree(to);
  }
};

// ---- conjugate gradients -----------------------------------------------------------------------------------------------

struct scalars {
  double rho, pAp, rr, alpha, minus_alpha, beta, one;
};

__global__ void make_alpha(scalars *s) {
  s->alpha = s->rho / s->pAp;
  s->minus_alpha = -s->alpha;
}

__global__ void make_beta(scalars *s) {
  s->beta = s->rr / s->rho;
  s->rho = s->rr;
}

__global__ void fill_matrix(int side, int *ptr, int *col, double *val) {
  const long long n = (long long)side * side;
  for (long long g = blockIdx.x * (long long)blockDim.x + threadIdx.x; g < n; g += (long long)gridDim.x * blockDim.x) {
    const long long i = g / side, j = g % side;
    // Entries in front of row g: five a row, but for what the borders cut off so far.
    long long at = 5 * g;
    at -= g < side ? g : side;                                  // no neighbour above the first line
    at -= i + (j > 0 ? 1 : 0);                                  // none left of a line's first column
    at -= i;                                                    // none right of its last, in lines before
    at -= g > n - side ? g - (n - side) : 0;                    // none below the last line
    ptr[g] = (int)at;
    if (i > 0) { col[at] = (int)(g - side); val[at++] = -1; }
    if (j > 0) { col[at] = (int)(g - 1); val[at++] = -1; }
    col[at] = (int)g;
    val[at++] = 4;
    if (j + 1 < side) { col[at] = (int)(g + 1); val[at++] = -1; }
    if (i + 1 < side) { col[at] = (int)(g + side); val[at++] = -1; }
    if (g == n - 1) ptr[n] = (int)at;
  }
}

__global__ void fill(double *x, long long n, double value) {
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
    x[i] = value;
}

struct cg_job : job {
  int n;
  long long nnz;
  int *ptr, *col;
  double *val, *x, *r, *p, *Ap;
  scalars *s;
  cusparseHandle_t sparse = nullptr;
  cublasHandle_t blas = nullptr;
  cusparseSpMatDescr_t a = nullptr;
  cusparseDnVecDescr_t vp = nullptr, vAp = nullptr;
  cusparseSpMVAlg_t algorithm = CUSPARSE_SPMV_ALG_DEFAULT;
  void *room = nullptr;
  const double one = 1, zero = 0;
  cudaGraphExec_t graph = nullptr;

  explicit cg_job(int side) : n(side * side), nnz(5LL * n - 4LL * side) {
    ptr = device<int>(n + 1);
    col = device<int>(nnz);
    val = device<double>(nnz);
    x = device<double>(n);
    r = device<double>(n);
    p = device<double>(n);
    Ap = device<double>(n);
    s = device<scalars>(1);
    fill_matrix<<<2048, 256, 0, stream>>>(side, ptr, col, val);
    CHECK(cudaGetLastError());
    int entries = 0;
    CHECK(cudaMemcpyAsync(&entries, ptr + n, sizeof entries, cudaMemcpyDeviceToHost, stream));
    CHECK(cudaStreamSynchronize(stream));
    if (entries != nnz) throw failure{"the matrix has " + std::to_string(entries) + " entries"};
    CHECK(cusparseCreate(&sparse));
    CHECK(cusparseSetStream(sparse, stream));
    CHECK(cublasCreate(&blas));
    CHECK(cublasSetStream(blas, stream));
    CHECK(cublasSetPointerMode(blas, CUBLAS_POINTER_MODE_DEVICE));
    CHECK(cusparseCreateCsr(&a, n, n, nnz, ptr, col, val, CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I,
                            CUSPARSE_INDEX_BASE_ZERO, CUDA_R_64F));
    CHECK(cusparseCreateDnVec(&vp, n, p, CUDA_R_64F));
    CHECK(cusparseCreateDnVec(&vAp, n, Ap, CUDA_R_64F));
    restart();
    choose();
    capture();
  }

  void multiply() {
    CHECK(cusparseSpMV(sparse, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, a, vp, &zero, vAp, CUDA_R_64F, algorithm, room));
  }

  void prepare(cusparseSpMVAlg_t with) {
    size_t bytes = 0;
    algorithm = with;
    cudaFree(room);
    room = nullptr;
    CHECK(cusparseSpMV_bufferSize(sparse, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, a, vp, &zero, vAp, CUDA_R_64F, with,
                                  &bytes));
    room = device<char>(bytes + 1);
    CHECK(cusparseSpMV_preprocess(sparse, CUSPARSE_OPERATION_NON_TRANSPOSE, &one, a, vp, &zero, vAp, CUDA_R_64F, with,
                                  room));
  }

  void choose() {
    const cusparseSpMVAlg_t all[] = {CUSPARSE_SPMV_CSR_ALG1, CUSPARSE_SPMV_CSR_ALG2};
    double best = 1e30;
    cusparseSpMVAlg_t fastest = all[0];
    for (cusparseSpMVAlg_t with : all) {
      prepare(with);
      for (int k = 0; k < 3; k++) multiply();
      CHECK(cudaStreamSynchronize(stream));
      const double begin = now();
      for (int k = 0; k < 20; k++) multiply();
      CHECK(cudaStreamSynchronize(stream));
      const double seconds = now() - begin;
      if (seconds < best) {
        best = seconds;
        fastest = with;
      }
    }
    prepare(fastest);
  }

  void iteration() {
    multiply();
    CHECK(cublasDdot(blas, n, p, 1, Ap, 1, &s->pAp));
    make_alpha<<<1, 1, 0, stream>>>(s);
    CHECK(cublasDaxpy(blas, n, &s->alpha, p, 1, x, 1));
    CHECK(cublasDaxpy(blas, n, &s->minus_alpha, Ap, 1, r, 1));
    CHECK(cublasDdot(blas, n, r, 1, r, 1, &s->rr));
    make_beta<<<1, 1, 0, stream>>>(s);
    CHECK(cublasDscal(blas, n, &s->beta, p, 1));
    CHECK(cublasDaxpy(blas, n, &s->one, r, 1, p, 1));
    CHECK(cudaGetLastError());
  }

  // Where it cannot be captured an iteration is launched call by call.
  void capture() {
    iteration();
    CHECK(cudaStreamSynchronize(stream));
    cudaGraph_t made = nullptr;
    if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed) != cudaSuccess) return;
    bool good = true;
    try {
      iteration();
    } catch (const failure &f) {
      fprintf(stderr, "capture: %s\n", f.why.c_str());
      good = false;
    }
    good = cudaStreamEndCapture(stream, &made) == cudaSuccess && good;
    if (!good || cudaGraphInstantiate(&graph, made, 0) != cudaSuccess) {
      graph = nullptr;
      fprintf(stderr, "an iteration is launched without a graph\n");
    }
    if (made) cudaGraphDestroy(made);
    cudaGetLastError();
  }

  void restart() override {
    scalars start = {};
    start.rho = n;
    start.one = 1;
    CHECK(cudaMemsetAsync(x, 0, n * sizeof *x, stream));
    fill<<<2048, 256, 0, stream>>>(r, n, 1);
    fill<<<2048, 256, 0, stream>>>(p, n, 1);
    CHECK(cudaMemcpyAsync(s, &start, sizeof start, cudaMemcpyHostToDevice, stream));
    CHECK(cudaStreamSynchronize(stream));
  }

  void pass() override {
    if (graph) {
      CHECK(cudaGraphLaunch(graph, stream));
    } else {
      iteration();
    }
  }

  ~cg_job() override {
    if (graph) cudaGraphExecDestroy(graph);
    if (vp) cusparseDestroyDnVec(vp);
    if (vAp) cusparseDestroyDnVec(vAp);
    if (a) cusparseDestroySpMat(a);
    if (sparse) cusparseDestroy(sparse);
    if (blas) cublasDestroy(blas);
    for (void *q : {(void *)ptr, (void *)col, (void *)val, (void *)x, (void *)r, (void *)p, (void *)Ap, (void *)s, room})
      cudaFree(q);
  }
};

// ---- samples ------------------------------------------------------------------------------------------------------------

static double timed(job *j, long long passes) {
  j->restart();
  j->pass();
  CHECK(cudaStreamSynchronize(stream));
  const double begin = now();
  for (long long i = 0; i < passes; i++) j->pass();
  CHECK(cudaStreamSynchronize(stream));
  return now() - begin;
}

static job *make(const char *row, double size) {
  if (strcmp(row, "copy") == 0) return new copy_job((size_t)size);
  if (strcmp(row, "cg") == 0) return new cg_job((int)size);
  throw failure{"not a row of cuSPARSE and cuBLAS"};
}

// The residual's size after 50 iterations, to be compared with that of others.
static double residual(job *j) {
  cg_job *c = dynamic_cast<cg_job *>(j);
  if (!c) return 0;
  double rho = 0;
  c->restart();
  for (int k = 0; k < 50; k++) c->pass();
  CHECK(cudaMemcpyAsync(&rho, &c->s->rho, sizeof rho, cudaMemcpyDeviceToHost, stream));
  CHECK(cudaStreamSynchronize(stream));
  return rho;
}

int main() {
  char line[256], row[64];
  job *j = nullptr;
  long long passes = 0;
  while (fgets(line, sizeof line, stdin)) {
    double size = 0;
    try {
      if (strncmp(line, "hello", 5) == 0) {
        CHECK(cudaStreamCreate(&stream));
        printf("{\"ok\": true, \"name\": \"CUDA %d\"}\n", CUDART_VERSION);
      } else if (sscanf(line, "prepare %63s %lf", row, &size) == 2) {
        delete j;
        j = nullptr;
        j = make(row, size);
        passes = 0;
        const double rho = residual(j);
        printf("{\"ok\": true, \"residual\": %.17g}\n", rho);
      } else if (strncmp(line, "sample", 6) == 0 && j) {
        for (long long k = 1; passes == 0; k *= 4) {
          const double t = timed(j, k);
          if (t >= 0.0125) passes = (long long)(1 + (double)k * 0.05 / t);
        }
        printf("{\"ok\": true, \"seconds\": %.9g}\n", timed(j, passes) / (double)passes);
      } else if (strncmp(line, "free", 4) == 0) {
        delete j;
        j = nullptr;
        printf("{\"ok\": true}\n");
      } else {
        printf("{\"ok\": false, \"why\": \"no such order, or nothing prepared\"}\n");
      }
    } catch (const failure &f) {
      printf("{\"ok\": false, \"why\": \"%s\"}\n", f.why.c_str());
    }
    fflush(stdout);
  }
  delete j;
  return 0;
}
