/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_emulator_misuse.c -- the emulated GPU ends the process where a program misuses the driver.
 *
 * Each misuse runs in a child, which must end by an abort, or by a SIGSEGV where no sentence is due, and say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/child.h"
#include "tests/support/emulated.h"

static emulated e;

/* ---- memory */

static void free_twice(void) {
  const CUdeviceptr p = emulated_get(&e, 8);
  emulated_put(&e, p);
  emulated_put(&e, p);
}
static void free_unknown(void) { emulated_put(&e, 4096); }
static void free_inside(void) { emulated_put(&e, emulated_get(&e, 512) + 256); }
static void use_after_free(void) {
  const CUdeviceptr p = emulated_get(&e, 8);
  emulated_put(&e, p);
  cu_fill(p, 0, 8, e.stream);
}
static void copy_beyond(void) {
  char x[16];
  cu_upload(emulated_get(&e, 12) + 4, x, 9, e.stream);
}
static void copy_of_the_host(void) {
  char x[8], y[8];
  cu_download(x, (CUdeviceptr)(uintptr_t)y, 8, e.stream);
}
static void upload_of_the_gpu(void) {
  const CUdeviceptr p = emulated_get(&e, 8);
  cu_upload(p, (void *)(uintptr_t)p, 8, e.stream);
}
static void touch_from_the_host(void) {
  const CUdeviceptr p = emulated_get(&e, 8);
  cu_stream_wait(e.stream);
  *(volatile char *)(uintptr_t)p = 1;
}
static void before_its_allocation(void) {
  CUstream other;
  cu_stream_create(&other, 0);
  cu_fill(emulated_get(&e, 8), 0, 8, other);
  cu_stream_wait(other);
}
static void freed_by_another_stream(void) {
  CUstream other;
  cu_stream_create(&other, 0);
  const CUdeviceptr p = emulated_get(&e, 8);
  cu_stream_wait(e.stream);
  cu_fill(p, 0, 8, other);
  emulated_put(&e, p);
  cu_stream_wait(e.stream);
  cu_stream_wait(other);
}
static void pinned_freed_early(void) {
  void *pinned;
  cu_host_get(&pinned, 8, 0);
  cu_upload(emulated_get(&e, 8), pinned, 8, e.stream);
  cu_host_put(pinned);
  cu_stream_wait(e.stream);
}
static void pinned_twice(void) {
  void *pinned;
  cu_host_get(&pinned, 8, 0);
  cu_host_put(pinned);
  cu_host_put(pinned);
}

/* ---- addresses with memory in granules of 64 KiB */

enum { G = 64 << 10 };

static const CUmemAllocationProp here = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                         .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
static const CUmemAccessDesc both = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                     CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

static CUdeviceptr addresses(void) {
  CUdeviceptr p = 0;
  cu_address_get(&p, 4 * G, 0, 0, 0);
  return p;
}
static CUmemGenericAllocationHandle granule(void) {
  CUmemGenericAllocationHandle h = 0;
  cu_physical_get(&h, G, &here, 0);
  return h;
}
/* The second of four has memory. */
static CUdeviceptr second(void) {
  const CUdeviceptr p = addresses();
  cu_map(p + G, G, 0, granule(), 0);
  cu_access(p + G, G, &both, 1);
  return p;
}
static void copy_to_no_memory(void) { cu_fill(second() + 2 * G - 8, 0, 16, e.stream); }
static void kernel_without_memory(void) {
  const CUdeviceptr p = second() + 2 * G;
  emulated_launch(&e, "reads", 1, 1, &p, sizeof p);
  cu_stream_wait(e.stream);
}
static void kernel_without_access(void) {
  const CUdeviceptr p = addresses();
  cu_map(p, G, 0, granule(), 0);
  emulated_launch(&e, "reads", 1, 1, &p, sizeof p);
  cu_stream_wait(e.stream);
}
static void unmapped_early(void) {
  const CUdeviceptr p = second() + G;
  emulated_launch(&e, "reads", 1, 1, &p, sizeof p);
  cu_unmap(p, G);
  cu_stream_wait(e.stream);
}
static void unmapped_under_a_fill(void) {
  const CUdeviceptr p = second() + G;
  cu_fill(p, 0, 8, e.stream);
  cu_unmap(p, G);
  cu_stream_wait(e.stream);
}
static void unmapped_twice(void) {
  const CUdeviceptr p = second() + G;
  cu_unmap(p, G);
  cu_unmap(p, G);
}
static void mapped_twice(void) {
  const CUdeviceptr p = addresses();
  const CUmemGenericAllocationHandle h = granule();
  cu_map(p, G, 0, h, 0);
  cu_map(p + G, G, 0, h, 0);
}
static void mapped_over(void) { cu_map(second() + G, G, 0, granule(), 0); }
static void mapped_askew(void) { cu_map(addresses() + 256, G, 0, granule(), 0); }
static void released_twice(void) {
  const CUmemGenericAllocationHandle h = granule();
  cu_physical_put(h);
  cu_physical_put(h);
}
static void addresses_freed_early(void) { cu_address_put(second(), 4 * G); }
static void addresses_freed_twice(void) {
  const CUdeviceptr p = addresses();
  cu_address_put(p, 4 * G);
  cu_address_put(p, 4 * G);
}
static void addresses_as_a_block(void) { emulated_put(&e, addresses()); }
static void granule_left(void) {
  cu_physical_put(granule());
  granule();
  emu_check_empty();
}

/* ---- handles */

static void null_stream(void) { cu_fill(emulated_get(&e, 8), 0, 8, NULL); }
static void ended_stream(void) {
  cu_stream_destroy(e.stream);
  cu_stream_wait(e.stream);
}
static void event_for_stream(void) {
  CUevent event;
  cu_event_create(&event, 0);
  cu_stream_wait((CUstream)(void *)event);
}
static void unload_early(void) {
  const CUdeviceptr p = emulated_get(&e, 8);
  emulated_launch(&e, "reads", 1, 1, &p, sizeof p);
  cu_module_unload(e.module);
  cu_stream_wait(e.stream);
}
static void release_twice(void) {
  cu_context_release(0);
  cu_context_release(0);
}
static void left_alive(void) {
  emulated_get(&e, 24);
  emu_check_empty();
}
static void left_current(void) {
  cu_module_unload(e.module);
  cu_stream_destroy(e.stream);
  cu_context_release(0);
  emu_check_empty();
}

/* ---- kernels */

static void run(const char *name, unsigned block, size_t bytes) {
  const CUdeviceptr p = emulated_get(&e, bytes);
  emulated_launch(&e, name, 1, block, &p, sizeof p);
  cu_stream_wait(e.stream);
}
static void leaves(void) { run("leaves", 64, 8); }
static void parts(void) { run("parts", 64, 8); }
static void diverges(void) { run("diverges", 64, 8); }
/* Blocks that wait for all others, of which not all are there at once. */
static void awaits(void) {
  const CUdeviceptr p = emulated_get(&e, 16);
  const emulated_crowd c = {p, p + 4, p + 8, 8};
  cu_fill(p, 0, 16, e.stream);
  emulated_launch(&e, "crowd", 8, 32, &c, sizeof c);
  cu_stream_wait(e.stream);
}
static void writes_fixed(void) {
  const CUdeviceptr p = emulated_get(&e, 8);
  cu_fill(p, 0, 8, e.stream);
  emulated_launch(&e, "fixed", 1, 1, &p, sizeof p);
  cu_stream_wait(e.stream);
}
static void half_a_warp(void) { run("shuffles", 48, 8); }
static void beyond(void) { run("beyond", 32, 8); }
static void before(void) { run("before", 32, 8); }
static void far_beyond(void) { run("far", 32, 256); }
static void wrong_parameters(void) {
  const CUdeviceptr p[2] = {0, 0};
  emulated_launch(&e, "reads", 1, 1, p, sizeof p);
}
static void kernel_on_freed(void) {
  const CUdeviceptr p = emulated_get(&e, 8);
  emulated_put(&e, p);
  emulated_launch(&e, "reads", 1, 1, &p, sizeof p);
  cu_stream_wait(e.stream);
}

/* ---- graphs */

static CUgraph graph, other_graph;
static CUgraphNode node, stranger;
static CUgraphExec exec;
static emulated_parameters params;
static CUdeviceptr memory;

static void make(void) {
  memory = emulated_get(&e, 512);
  cu_graph_create(&graph, 0);
  cu_graph_create(&other_graph, 0);
  cu_graph_add_kernel(&node, graph, NULL, 0, emulated_node(&e, "reads", 1, 1, &memory, 8, &params));
  cu_graph_add_kernel(&stranger, other_graph, NULL, 0, &params.node);
  cu_graph_instantiate(&exec, graph, 0);
}
static void foreign_dependency(void) {
  make();
  cu_graph_add_empty(&node, graph, &stranger, 1);
}
static void same_dependency(void) {
  make();
  cu_graph_add_empty(&stranger, graph, (CUgraphNode[]){node, node}, 2);
}
static void foreign_node(void) {
  make();
  cu_graph_set_kernel(exec, stranger, &params.node);
}
static void late_node(void) {
  make();
  cu_graph_add_kernel(&stranger, graph, NULL, 0, &params.node);
  cu_graph_set_kernel(exec, stranger, &params.node);
}
static void other_function(void) {
  make();
  cu_graph_set_kernel(exec, node, emulated_node(&e, "turned", 1, 1, &memory, 8, &params));
}
static void ended_node(void) {
  make();
  cu_graph_destroy(graph);
  cu_graph_set_kernel(exec, node, &params.node);
}
static void ended_exec(void) {
  make();
  cu_graph_exec_destroy(exec);
  cu_graph_launch(exec, e.stream);
}
static void graph_after_free(void) {
  make();
  CUgraphNode fill;
  const CUDA_MEMSET_NODE_PARAMS zero = {.dst = memory, .elementSize = 1, .width = 8, .height = 1};
  cu_graph_add_fill(&fill, other_graph, NULL, 0, &zero, e.context);
  cu_graph_instantiate(&exec, other_graph, 0);
  emulated_put(&e, memory);
  cu_graph_launch(exec, e.stream);
  cu_stream_wait(e.stream);
}

static CUgraphConditionalHandle handle;

/* A node of `in` that runs a graph, which is returned; the handle is `graph`'s. */
static CUgraph conditional(CUgraph in) {
  if (!handle) cu_graph_condition(&handle, graph, e.context, 1, CU_GRAPH_COND_ASSIGN_DEFAULT);
  CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL,
                         .conditional = {.handle = handle, .size = 1, .ctx = e.context}};
  cu_graph_add_node(&node, in, NULL, NULL, 0, &p);
  return p.conditional.phGraph_out[0];
}
static void foreign_condition(void) {
  make();
  conditional(other_graph);
}
static void condition_of_two(void) {
  make();
  conditional(graph);
  conditional(graph);
}
static void end_of_a_body(void) {
  make();
  cu_graph_destroy(conditional(graph));
}
static void conditions_twice(void) {
  cu_graph_create(&graph, 0);
  conditional(graph);
  cu_graph_instantiate(&exec, graph, 0);
  cu_graph_instantiate(&exec, graph, 0);
}

static const struct misuse {
  void (*run)(void);
  const char *sentence; /* NULL: a SIGSEGV */
} all[] = {
    {free_twice, "cuMemFreeAsync: double free: the block of call"},
    {free_unknown, "cuMemFreeAsync: 0x1000 is not memory of the GPU"},
    {free_inside, "is 256 bytes into the block"},
    {use_after_free, "cuMemsetD8Async: destination: use after free"},
    {copy_beyond,
     "cuMemcpyHtoDAsync_v2: destination: 9 bytes from 4 on are beyond the block of 12 bytes"},
    {copy_of_the_host, "cuMemcpyDtoHAsync_v2: source: 0x"},
    {upload_of_the_gpu, "is memory of the GPU, not the host's"},
    {touch_from_the_host, NULL},
    {before_its_allocation, "is not yet allocated in its stream when it runs"},
    {freed_by_another_stream, "is freed when it runs"},
    {pinned_freed_early, "cuStreamSynchronize: a copy's source, the pinned memory of call"},
    {pinned_twice, "cuMemFreeHost: double free of the pinned memory"},
    {null_stream, "cuMemsetD8Async: the stream is NULL"},
    {ended_stream, "cuStreamSynchronize: the stream of call"},
    {event_for_stream, "a event is given where a stream is due"},
    {unload_early, "the function of call"},
    {release_twice, "the context of GPU 0 is not retained"},
    {left_alive, "emu_check_empty: 1 blocks of memory are alive, one of 24 bytes"},
    {left_current, "this thread has left 1 contexts current"},
    {leaves, "kernel leaves, block 0: thread 0 waits at the barrier of line"},
    {parts, "kernel parts, block 0: thread 0 waits at the barrier of line"},
    {diverges, "kernel diverges, block 0: thread 0 waits at the shuffle of line"},
    {awaits, "of 8: threads nap, and nobody does anything else"},
    {writes_fixed, "kernel fixed writes what it has read as something that nobody writes"},
    {half_a_warp, "a shuffle in a warp of 16 threads"},
    {beyond, "beyond wrote behind the block of 8 bytes"},
    {before, "before wrote before the block of 8 bytes"},
    {far_beyond, NULL},
    {wrong_parameters, "kernel reads takes 8 bytes of parameters and is given 16"},
    {kernel_on_freed, NULL},
    {foreign_dependency, "is a node of another graph"},
    {same_dependency, "dependencies 0 and 1 are the same node"},
    {foreign_node, "is not of the graph that was instantiated"},
    {late_node, "was added after the graph was instantiated"},
    {other_function, "kernel reads becomes turned"},
    {ended_node, "the node of call"},
    {copy_to_no_memory, "16 bytes from 131064 on have no memory"},
    {kernel_without_memory, NULL},
    {kernel_without_access, NULL},
    {unmapped_early, NULL},
    {unmapped_under_a_fill, "have no memory in the 262144 bytes of addresses"},
    {unmapped_twice, "nothing is mapped where memory is unmapped"},
    {mapped_twice, "is mapped twice"},
    {mapped_over, "memory is mapped where there is some"},
    {mapped_askew, "are no granules"},
    {released_twice, "was released by call"},
    {addresses_freed_early, "addresses are freed where memory"},
    {addresses_freed_twice, "is no address that was reserved"},
    {addresses_as_a_block, "is an address that was reserved"},
    {granule_left, "1 pieces of memory are alive"},
    {ended_exec, "cuGraphLaunch: the exec of call"},
    {foreign_condition, "cuGraphAddNode_v2: the handle of call"},
    {condition_of_two, "has a node"},
    {end_of_a_body, "the graph is a conditional node's"},
    {conditions_twice, "instantiated a second time"},
    {graph_after_free, "cuStreamSynchronize: a fill's block, of call"},
};

/* In the state of a program that has begun. */
static void commit_misuse(const void *of) {
  emulated_open(&e);
  ((const struct misuse *)of)->run();
}

static void test_misuse(void **state) {
  (void)state;
  char said[2000];
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    const struct misuse *m = &all[i];
    const int status = child_status(commit_misuse, m, said, sizeof said),
              want = m->sentence ? SIGABRT : SIGSEGV;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != want)
      fail_msg("misuse %zu (%s): status %#x, and said: %s", i,
               m->sentence ? m->sentence : "SIGSEGV", status, said);
    if (m->sentence && !strstr(said, m->sentence))
      fail_msg("misuse %zu: \"%s\" lacks \"%s\"", i, said, m->sentence);
  }
}

/* What is no misuse does not end a child. */
static void nothing(void) {
  emulated_put(&e, emulated_get(&e, 8));
  emulated_close(&e);
  emu_check_empty();
}

static void test_none(void **state) {
  (void)state;
  char said[200];
  assert_int_equal(child_status(commit_misuse, &(struct misuse){nothing, NULL}, said, sizeof said),
                   0);
  assert_string_equal(said, "");
}

int main(void) {
  emulated_image();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_misuse),
      cmocka_unit_test(test_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
