/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_checkpoint_faults.c -- a checkpoint interrupted at each of its system calls: what is restored
 * afterwards is the old checkpoint or the new one, whole, and the next attempt is not disturbed by what is left.
 *
 * How: ranks are threads, and a hook before each system call decides whether it is made. "Crash": from the k-th call on
 *      none is, not even those that clean up, as if all ranks were killed there. "Power": then what was not synced
 *      is lost in part, too. "Error": only the k-th fails, and the program goes on. "Short": the k-th, if it is a write,
 *      writes one byte before the crash. k runs until nothing was in the way. */
#include "tests/support/members.h"

#include <errno.h>

#include "core/exec/checkpoint_disk.h"
#include "tests/support/folder.h"

enum { ROWS = 9, COLUMNS = 7, CELLS = ROWS * COLUMNS, FILES = 40, MOST_CALLS = 400 };

typedef enum mode { CRASH, POWER, ERROR, SHORT, N_MODES } mode;

typedef struct file_state {
  char name[48];
  bool synced, is_new;
} file_state;

static struct {
  pthread_mutex_t lock;
  mode mode;
  int64_t calls, stop; /* made so far; the call that fails */
  bool hit;
  file_state file[FILES];
  int32_t n_files;
  bool folder_synced; /* since the last new name */
  bool renamed;
  int64_t out_of_order;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static folder_name here;
static double value; /* what the arrays hold */

/* ---- the disk --------------------------------------------------------------------------------------------- */

static file_state *file_of(const char *name) {
  for (int32_t i = 0; i < disk.n_files; i++)
    if (strcmp(disk.file[i].name, name) == 0) return &disk.file[i];
  file_state *f = &disk.file[disk.n_files++ % FILES];
  *f = (file_state){.synced = true};
  snprintf(f->name, sizeof f->name, "%s", name);
  return f;
}

/* A call is made: what is lost without power from now on, and is the order such that nothing can be? */
static void note(const char *call, const char *name) {
  const bool part = strncmp(name, "part-", 5) == 0, folder = strcmp(name, ".") == 0;
  if (strcmp(call, "write") == 0) file_of(name)->synced = false;
  if (strcmp(call, "open") == 0 && part) disk.folder_synced = false;
  if (strcmp(call, "sync") == 0 && folder) disk.folder_synced = true;
  if (strcmp(call, "sync") == 0 && !folder) file_of(name)->synced = true;
  if (strcmp(call, "rename") == 0) {
    for (int32_t i = 0; i < disk.n_files && i < FILES; i++)
      disk.out_of_order += !disk.file[i].synced;
    disk.out_of_order += !disk.folder_synced;
    disk.folder_synced = false;
    disk.renamed = true;
  }
  if (strcmp(call, "unlink") == 0 && disk.renamed) disk.out_of_order += !disk.folder_synced;
}

static int hook(const char *call, const char *name, size_t *bytes) {
  int e = 0;
  pthread_mutex_lock(&disk.lock);
  const int64_t now = disk.calls++;
  const bool at = now == disk.stop, after = now > disk.stop;
  if (at) disk.hit = true;
  if (at && disk.mode == SHORT && strcmp(call, "write") == 0 && *bytes > 1)
    *bytes = 1;
  else if (at || (after && disk.mode != ERROR))
    e = disk.mode == ERROR ? ENOSPC : EIO;
  if (e == 0) note(call, name);
  pthread_mutex_unlock(&disk.lock);
  return e;
}

/* Half of a file that was not synced is lost. */
static void lose_power(void) {
  for (int32_t i = 0; i < disk.n_files && i < FILES; i++) {
    const folder_name f = folder_file(here.path, disk.file[i].name);
    struct stat st;
    if (disk.file[i].synced || stat(f.path, &st) != 0) continue;
    assert_int_equal(truncate(f.path, st.st_size / 2), 0);
  }
}

static void arm(mode m, int64_t stop) {
  disk.mode = m;
  disk.stop = stop;
  disk.calls = disk.n_files = 0;
  disk.hit = disk.renamed = false;
  disk.folder_synced = true;
  rpi_checkpoint_disk_fault = hook;
}

static void disarm(void) { rpi_checkpoint_disk_fault = NULL; }

/* ---- the program -------------------------------------------------------------------------------------------- */

static rp_status make(rp_context *c, rp_store **s) {
  const int64_t shape[] = {ROWS, COLUMNS};
  TRY(rp_store_create(c, RP_F64, 2, shape, &s[0]));
  TRY(rp_store_create(c, RP_F64, 2, shape, &s[1]));
  return rp_store_create(c, RP_F64, 0, NULL, &s[2]);
}

static rp_status forget_stores(rp_store **s) {
  for (int32_t i = 0; i < 3; i++) TRY(rp_store_release(s[i]));
  return RP_OK;
}

static const char *const names[] = {"by rows", "of the host", "number"};

/* out[0]: the status of the checkpoint. */
static rp_status save(member *m) {
  rp_store *s[3];
  double host[CELLS];
  TRY(make(m->ctx, s));
  for (int32_t i = 0; i < CELLS; i++) host[i] = value;
  TRY(rp_store_write(s[2], &value, 8));
  TRY(rp_store_write(s[1], host, sizeof host));
  TRY(EVAL(m->ctx, "a, v", "a[i,j] = v + 0*f64(i)", s[0], s[2]));
  m->out[0] = rp_checkpoint(m->ctx, here.path, 3, names, s);
  return forget_stores(s);
}

/* out: all that is restored. */
static rp_status load(member *m) {
  rp_store *s[3];
  TRY(make(m->ctx, s));
  const rp_status st = rp_restore(m->ctx, here.path, 3, names, s);
  if (st == RP_OK) {
    TRY(rp_store_read(s[0], m->out, CELLS * 8));
    TRY(rp_store_read(s[1], m->out + CELLS, CELLS * 8));
    TRY(rp_store_read(s[2], m->out + 2 * CELLS, 8));
  } else {
    snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  }
  TRY(forget_stores(s));
  return st;
}

static const char config[] = "--threads 1 --tile 0";

/* Returns whether it succeeded; all ranks say the same. */
static bool save_on(int32_t ranks, double v) {
  member all[MOST] = {0};
  value = v;
  run(all, ranks, config, save, 1);
  all_fine(all, ranks);
  const double st = all[0].out[0];
  for (int32_t r = 0; r < ranks; r++) assert_true(all[r].out[0] == st);
  forget(all, ranks);
  return st == RP_OK;
}

/* The one number that everything restored is. */
static double load_on(int32_t ranks) {
  member all[MOST] = {{0}};
  run(all, ranks, config, load, 2 * CELLS + 1);
  all_fine(all, ranks);
  const double v = all[0].out[0];
  for (int32_t r = 0; r < ranks; r++)
    for (int32_t i = 0; i < 2 * CELLS + 1; i++)
      if (all[r].out[i] != v)
        fail_msg("rank %d: %g beside %g: two checkpoints are mixed", r, all[r].out[i], v);
  forget(all, ranks);
  return v;
}

/* ---- tests ----------------------------------------------------------------------------------------------------- */

/* Returns how many calls there were. */
static int64_t interrupt(int32_t ranks, mode m) {
  int64_t k = 0, fell = 0;
  for (bool hit = true; hit; k++) {
    assert_true(k < MOST_CALLS);
    folder_empty(here.path);
    assert_true(
        save_on(ranks == 1 ? 2 : ranks, 1)); /* the old one may have had another number of parts */
    arm(m, k);
    const bool good = save_on(ranks, 2);
    disarm();
    hit = disk.hit;
    if (m == POWER) lose_power();
    assert_int_equal(disk.out_of_order, 0);
    const double v = load_on(k % 3 + 1);
    if (v != 1 && v != 2) fail_msg("call %lld: %g", (long long)k, v);
    if (good && v != 2) fail_msg("call %lld: success, but the old one", (long long)k);
    if (!hit && !good) fail_msg("nothing was in the way");
    if (m == ERROR && v == 1) /* who fails cleans up */
      assert_int_equal(folder_each(here.path, "", NULL), 1 + (ranks == 1 ? 2 : ranks));
    fell += v == 1;
    assert_true(save_on(ranks, 3));
    assert_true(load_on(2) == 3);
    assert_int_equal(folder_each(here.path, "", NULL), 1 + ranks); /* nothing else is left */
  }
  assert_true(fell > 5 && fell < k);
  return k;
}

static void each_mode(int32_t ranks) {
  here = folder_make();
  for (mode m = 0; m < N_MODES; m++) {
    const int64_t calls = interrupt(ranks, m);
    assert_true(calls > 15 + 3 * ranks);
  }
  folder_remove(here.path);
}

static void test_alone(void **state) {
  (void)state;
  each_mode(1);
}

static void test_three_ranks(void **state) {
  (void)state;
  each_mode(3);
}

/* The first checkpoint of a folder: there is none, or the new one. */
static void test_first(void **state) {
  (void)state;
  here = folder_make();
  for (mode m = 0; m < N_MODES; m++) {
    bool hit = true;
    for (int64_t k = 0; hit; k++) {
      member one;
      folder_empty(here.path);
      arm(m, k);
      const bool good = save_on(2, 2);
      disarm();
      hit = disk.hit;
      if (m == POWER) lose_power();
      run(&one, 1, config, load, 2 * CELLS + 1);
      if (one.status == RP_OK)
        assert_true(one.out[0] == 2);
      else if (one.status != RP_ERR_ARGUMENT || !strstr(one.said, "there is no checkpoint"))
        fail_msg("%s", one.said);
      assert_true(one.status == RP_OK || !good);
      forget(&one, 1);
    }
  }
  folder_remove(here.path);
}

/* A restore that fails at any call changes nothing; then it succeeds. */
static rp_status load_over(member *m) {
  rp_store *s[3];
  TRY(make(m->ctx, s));
  for (int32_t i = 0; i < 3; i++) TRY(rp_store_fill(s[i], &(double){5}));
  m->out[0] = rp_restore(m->ctx, here.path, 3, names, s);
  TRY(rp_store_read(s[0], m->out + 1, CELLS * 8));
  TRY(rp_store_read(s[1], m->out + 1 + CELLS, CELLS * 8));
  TRY(rp_store_read(s[2], m->out + 1 + 2 * CELLS, 8));
  return forget_stores(s);
}

static void test_restore(void **state) {
  (void)state;
  member all[MOST];
  bool hit = true;
  here = folder_make();
  assert_true(save_on(3, 1));
  for (int64_t k = 0; hit; k++) {
    arm(ERROR, k);
    run(all, 2, config, load_over, 2 * CELLS + 2);
    disarm();
    hit = disk.hit;
    all_fine(all, 2);
    for (int32_t r = 0; r < 2; r++) {
      assert_true(all[r].out[0] == (hit ? RP_ERR_IO : RP_OK));
      for (int32_t i = 1; i < 2 * CELLS + 2; i++) assert_true(all[r].out[i] == (hit ? 5 : 1));
    }
    forget(all, 2);
    assert_true(hit || k > 8);
  }
  folder_remove(here.path);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_alone),
                                     cmocka_unit_test(test_three_ranks),
                                     cmocka_unit_test(test_first), cmocka_unit_test(test_restore)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
