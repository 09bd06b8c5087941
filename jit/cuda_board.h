/* SPDX-License-Identifier: Apache-2.0
 * jit/cuda_board.h -- rows of inner loops that many warps share: the board where they are posted.
 *
 * Lives here: the board's form, for who makes room for it (C), and what warps do there: text behind jit/cuda_frame.h, C11 and
 *             CUDA C++ alike; the build embeds it. Every threshold of sharing.
 * Not here:   the elements of a row (emit_cuda_long.c), who looks at the board and when (rpk_assist, written there).
 * How:        a warp with a row of more than RPK_ALONE elements posts it, if there is a free place, and takes its parts one
 *             after another; so does every warp that has nothing else to do and looks at the board. A part is a number of
 *             leaves that is a power of two, so its value is a subtree of the row's tree (SEMANTICS 3); the poster joins
 *             the values in the tree's order, whoever made them. One board serves all kernels of a context, whichever
 *             run at once.
 *             gate[n] is 0 where place n is free. Else it counts who is inside, the poster among them, and has RPK_OPEN
 *             while there may be parts left. Who comes in adds 1 first and looks at what was there: not open, or another
 *             kernel's row, and it leaves again. The poster takes RPK_OPEN away when all parts are taken, waits for
 *             those that are not handed in, reads them and leaves; the last to leave makes the gate 0. So a place is
 *             written for a new row only when nobody is inside, and at a launch's end all gates are 0 again.
 * Invariants: who waits (rpk_close) waits only for warps that have taken a part. These run, and between taking and handing in a
 *             part they wait for nobody; nobody waits for a block that has not begun, nor for a place to become free.
 *             Looking at the board ends after so many looks (RPK_PATIENCE), or with the block's last warp.
 *             All warps that call a function here do so with all 32 threads. What other blocks write is read past the first
 *             cache (volatile), behind a fence, and written before one. */
/* Laid out by hand: */
/* clang-format off */
#ifndef RPI_CUDA_BOARD_H
#define RPI_CUDA_BOARD_H
#ifndef RPG_KERNEL
#include <stdint.h>
#endif

/* Reckoned, not measured. A warp makes some 100 elements of a gathered sum in a microsecond (128 on their way, two latencies
 * of memory); posting, taking a part and handing it in take 1 to 3 us in all, which 4096 elements (40 us) are well
 * worth, and a part of a leaf (10 us) just so. 2048 parts are enough to keep half of a large GPU's warps busy. */
enum { RPK_ALONE = 4096 };    /* elements that a warp does alone */
enum { RPK_PARTS = 2048 };    /* of a row, at most: beyond 2^21 elements parts are of several leaves */
enum { RPK_POSTS = 16 };      /* rows at once: where there are more, their own warps suffice */
enum { RPK_GIVEN = 64 };      /* values from around a loop */
#ifdef RPG_HOST
enum { RPK_PATIENCE = 4 };
#else
enum { RPK_PATIENCE = 4000 }; /* looks of a block without any row of its own, half a microsecond apart */
#endif
enum { RPK_BUSY_MEAN = 64, RPK_BUSY_MOST = 1 << 15 }; /* blocks without rows are launched where rows have so many elements
                                                         on average, and all of them so many */
enum { RPK_OPEN = 1 << 16 };  /* above any number of warps that run at once */

typedef struct rpk_post {
  uint64_t kernel; /* the address of its flag */
  int64_t lo, size, span; /* of the row; elements of a part */
  uint32_t loop, next, done; /* which loop of the kernel; parts that are taken, and handed in */
  uint32_t unused;
  uint64_t given[RPK_GIVEN], part[RPK_PARTS];
} rpk_post;
typedef struct rpk_board {
  uint32_t gate[RPK_POSTS];
  rpk_post post[RPK_POSTS];
} rpk_board;

#ifdef RPG_KERNEL
/* What lane 0 sees at p: the same for the warp. */
RPG_DEVICE uint32_t rpk_seen(const uint32_t *p) {
  uint32_t v = 0;
  if ((RPG_THREAD & 31) == 0) v = *(const volatile uint32_t *)p;
  return rpk_from_u32(v, 0);
}
RPG_DEVICE uint32_t rpk_add(uint32_t *p, uint32_t n) {
  uint32_t before = 0;
  if ((RPG_THREAD & 31) == 0) before = RPG_ADD(p, n);
  return rpk_from_u32(before, 0);
}

/* A bit for each place that is open. */
RPG_DEVICE uint32_t rpk_opened(const rpk_board *b) {
  const int n = RPG_THREAD & 31;
  return RPG_BALLOT(n < RPK_POSTS && (((const volatile rpk_board *)b)->gate[n < RPK_POSTS ? n : 0] & RPK_OPEN));
}
RPG_DEVICE void rpk_rest(void) {
  if ((RPG_THREAD & 31) == 0) RPG_NAP();
  RPG_WARP();
}

/* The warp leaves: it counts from bit 16 on, and the last one clears the word. */
RPG_DEVICE void rpk_depart(uint32_t *ended) {
  if ((RPG_THREAD & 31) != 0) return;
  const uint32_t before = RPG_ADD(ended, 1u << 16);
  if ((int)(before >> 16) + 1 == RPG_BLOCKS * (RPG_THREADS / 32)) *(volatile uint32_t *)ended = 0;
}

/* ---- the poster */

/* The warp's words of the block's memory, so that they cost no registers: where its row begins and ends (of those that its
 * threads have come to, row r at r and 32 + r, and its value at 64 + r), the stack of the tree, 1 + the row's place on the
 * board, the part that the warp has. */
enum { RPK_ENDS = 32, RPK_VALUES = 64, RPK_STACK = 96, RPK_PLACE = 128, RPK_MINE = 129 };


/* A place for row r of the warp, not open yet; -1: there is none. */
RPG_DEVICE int rpk_place_row(rpk_board *b, const void *kernel, int loop, uint64_t *pool, int r) {
  const int64_t lo = rpk_i64(pool[r]), size = rpk_i64(pool[RPK_ENDS + r]) - lo;
  int n = -1;
  if ((RPG_THREAD & 31) == 0) {
    RPK_ROLLED for (int i = 0; i < RPK_POSTS && n < 0; i++) {
      const int at = (RPG_BLOCK + RPG_THREAD / 32 + i) & (RPK_POSTS - 1);
      if (*(volatile uint32_t *)&b->gate[at] == 0 && RPG_SWAP(&b->gate[at], 0, 1) == 0) n = at;
    }
    if (n >= 0) {
      volatile rpk_post *const p = &b->post[n];
      int64_t span = 1024;
      while ((size - 1) / span >= RPK_PARTS) span *= 2;
      p->kernel = (uint64_t)kernel;
      p->lo = lo, p->size = size, p->span = span;
      p->loop = (uint32_t)loop, p->next = 0, p->done = 0;
      pool[RPK_PLACE] = (uint64_t)(n + 1);
    }
  }
  return rpk_from_i32(n, 0);
}

/* From here on others come; `posted` counts for the block. */
RPG_DEVICE void rpk_open(rpk_board *b, int n, uint32_t *posted) {
  RPG_WARP();
  if ((RPG_THREAD & 31) != 0) return;
  RPG_FENCE();
  (void)RPG_ADD(&b->gate[n], RPK_OPEN);
  RPG_FENCE();
  (void)RPG_ADD(posted, 1);
}

/* All parts are taken: waits until they are handed in, and says how many they are. */
RPG_DEVICE int rpk_close(rpk_board *b, int n) {
  int parts = 0;
  if ((RPG_THREAD & 31) == 0) {
    const volatile rpk_post *const p = &b->post[n];
    (void)RPG_ADD(&b->gate[n], 0u - RPK_OPEN);
    parts = (int)((p->size + p->span - 1) / p->span);
    while (p->done < (uint32_t)parts) RPG_NAP();
    RPG_FENCE();
  }
  RPG_WARP();
  return rpk_from_i32(parts, 0);
}

/* ---- whoever is inside */

/* Into place n, if it is open and the kernel's. */
RPG_DEVICE int rpk_enter(rpk_board *b, int n, const void *kernel) {
  if (!(rpk_add(&b->gate[n], 1) & RPK_OPEN)) return 0;
  RPG_FENCE();
  return ((volatile rpk_post *)&b->post[n])->kernel == (uint64_t)kernel;
}
RPG_DEVICE void rpk_leave(rpk_board *b, int n) {
  RPG_WARP();
  if ((RPG_THREAD & 31) != 0) return;
  RPG_FENCE(); /* what was read here is read */
  (void)RPG_ADD(&b->gate[n], 0u - 1);
}

/* The next part becomes row r of the warp; 0: there is none left. */
RPG_DEVICE int rpk_take(rpk_board *b, uint64_t *pool, int r) {
  RPG_WARP();
  if ((RPG_THREAD & 31) == 0) {
    rpk_post *const p = &b->post[pool[RPK_PLACE] - 1];
    const int64_t part = RPG_ADD(&p->next, 1);
    const int64_t span = ((volatile rpk_post *)p)->span, rest = ((volatile rpk_post *)p)->size - part * span;
    const int64_t lo = ((volatile rpk_post *)p)->lo + part * span;
    pool[RPK_MINE] = rpk_put_i64(rest > 0 ? part : -1);
    pool[r] = rpk_put_i64(lo), pool[RPK_ENDS + r] = rpk_put_i64(rest < span ? lo + rest : lo + span);
  }
  RPG_WARP();
  return rpk_i64(pool[RPK_MINE]) >= 0;
}

/* By thread 0: what the part is worth. */
RPG_DEVICE void rpk_hand_in(rpk_board *b, const uint64_t *pool, uint64_t value) {
  rpk_post *const p = &b->post[pool[RPK_PLACE] - 1];
  ((volatile rpk_post *)p)->part[pool[RPK_MINE]] = value;
  RPG_FENCE();
  (void)RPG_ADD(&p->done, 1);
}

/* rpk_collect: the pairwise tree over n values, by a warp: eight neighbours a thread at a time. */
#define RPG_COLLECT(op, T)                                                                          \
  RPG_DEVICE rpc_##T rpk_collect_##op##_##T(rpk_board *b, int place, int n) {                          \
    volatile uint64_t *const v = b->post[place].part;                                               \
    RPK_ROLLED for (int h = 1; h < n; h *= 8) {                                                     \
      RPK_ROLLED for (int i = (RPG_THREAD & 31) * 8 * h; i < n; i += 32 * 8 * h) {                  \
        rpc_##T x[8];                                                                               \
        for (int j = 0; j < 8; j++) x[j] = rpk_##T(v[i + j * h < n ? i + j * h : i]);               \
        for (int d = 1; d < 8; d *= 2)                                                              \
          for (int j = 0; j + d < 8; j += 2 * d)                                                    \
            if (i + (j + d) * h < n) x[j] = rps_red_##op##_##T(x[j], x[j + d]);                     \
        v[i] = rpk_put_##T(x[0]);                                                                   \
      }                                                                                             \
      RPG_WARP();                                                                                   \
    }                                                                                               \
    return rpk_##T(v[0]);                                                                           \
  }
#endif
#endif
