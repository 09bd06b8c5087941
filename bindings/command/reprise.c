/* SPDX-License-Identifier: Apache-2.0
 * bindings/command/reprise.c -- the commands `reprise run`: a program on several ranks, and `reprise explain`: what one
 * of so many ranks would do.
 *
 * Lives here: the command line, and what it becomes: that of a launcher (mpirun of Open MPI, srun of Slurm), or of the
 *             program alone, which then takes this process's place, so that signals and the exit status are its own.
 * Not here:   anything of the library's. A program started by a launcher directly works as well; what this
 *             saves is to remember how each launcher is told the same thing.
 * How:        an array of words is built and executed. Knobs travel in the environment. srun takes all of it to
 *             other machines, mpirun only what it is told: every REPRISE_ and UCX_ variable.
 * Errors:     2: the arguments are wrong. 126, 127: what was to be run cannot be, or is not there, as
 *             shells have it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

enum { MAX_RANKS = 1 << 20, MAX_CPUS = 4096, WRONG = 2, NOT_RUN = 126, NOT_FOUND = 127 };

static const char usage_text[] =
    "usage: reprise run --ranks N [OPTIONS] [--] PROGRAM [ARGUMENTS]\n"
    "       reprise explain --ranks N [OPTIONS] [--] PROGRAM [ARGUMENTS]\n"
    "run: runs PROGRAM, which uses the library, on N ranks. Each rank runs all of it; arrays are "
    "shared out.\n"
    "explain: PROGRAM, alone, plans as one of N ranks. Its tasks do not run, nothing is sent, and "
    "what it reads\n"
    "of arrays is REPRISE_STUB, or 0; the plans, with the rank's messages, are printed to stderr "
    "(as by "
    "REPRISE_EXPLAIN=on).\n"
    "  --ranks N        how many; run: 1 runs the program without a launcher\n"
    "  --rank R         explain: which of them, from 0; without it, 0\n"
    "  --cpus K         each rank has K cores and as many threads (REPRISE_THREADS); without it, "
    "the\n"
    "                   launcher decides which cores a rank may use\n"
    "  --launcher NAME  run: mpirun (of Open MPI) or srun; without it, srun inside a job of Slurm, "
    "else mpirun\n"
    "  --print          print the command, do not run it\n"
    "What is not said of ranks, cpus and launcher is taken from REPRISE_CONFIG, as in "
    "REPRISE_CONFIG='--ranks 4'.\n"
    "  --help           print this text\n";

enum { MAX_SETTINGS = 4, MAX_CONFIG = 4096 };

typedef struct request {
  long ranks, rank, cpus; /* cpus 0: not asked for */
  const char *launcher;   /* NULL: explain */
  bool print;
  char **program;                 /* and its arguments, up to a NULL */
  char setting[MAX_SETTINGS][64]; /* of the environment: NAME=VALUE */
  int n_settings;
} request;

/* ---- the command line ---- */

static _Noreturn void refuse(const char *what, const char *word) {
  fprintf(stderr, "reprise: %s%s%s%s\n%s", what, word ? " '" : "", word ? word : "",
          word ? "'" : "", usage_text);
  exit(WRONG);
}

static long number_of(const char *text, long least, long most, const char *complaint) {
  char *end;
  errno = 0;
  const long n = strtol(text, &end, 10);
  /* strtol would take blanks and signs. */
  if (text[0] < '0' || text[0] > '9' || *end || errno || n < least || n > most)
    refuse(complaint, text);
  return n;
}

static const char *known_launcher(const char *name) {
  if (strcmp(name, "mpirun") != 0 && strcmp(name, "srun") != 0)
    refuse("--launcher is mpirun or srun, not", name);
  return name;
}

static void set(request *r, const char *name, const char *value) {
  snprintf(r->setting[r->n_settings++], sizeof r->setting[0], "REPRISE_%s=%s", name, value);
}

/* Knobs that follow from the options. */
static void set_knobs(request *r) {
  char value[48];
  snprintf(value, sizeof value, "%ld", r->cpus);
  if (r->cpus) set(r, "THREADS", value);
  if (r->launcher) return;
  snprintf(value, sizeof value, "%ld/%ld", r->rank, r->ranks);
  set(r, "DRYRUN", value);
  set(r, "EXPLAIN", "on");
}

/* One setting of REPRISE_CONFIG: --NAME VALUE or --NAME=VALUE, the last one that is there; NULL: none. The library checks
 * all of that text. */
static const char *configured(const char *name, char *room, size_t size) {
  const char *text = getenv("REPRISE_CONFIG"), *found = NULL;
  char copy[MAX_CONFIG], *rest = copy;
  if (!text || strlen(text) >= sizeof copy) return NULL;
  strcpy(copy, text);
  for (char *word; (word = strtok_r(rest, " \t\n", &rest));) {
    if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, strlen(name)) != 0) continue;
    const char end = word[2 + strlen(name)];
    if (end != '\0' && end != '=') continue;
    found = end == '=' ? word + 3 + strlen(name) : strtok_r(rest, " \t\n", &rest);
    if (!found) break;
    snprintf(room, size, "%s", found);
    found = room;
  }
  return found;
}

/* What the command line leaves open. A number of ranks that it says is the library's, too. */
static void take_config(request *r, bool explains) {
  char text[64], number[24];
  const char *ranks = configured("ranks", text, sizeof text);
  if (ranks && r->ranks) {
    snprintf(number, sizeof number, "%ld", r->ranks);
    set(r, "RANKS", number);
  } else if (ranks) {
    r->ranks = number_of(ranks, 1, MAX_RANKS, "ranks of REPRISE_CONFIG is 1 to 1048576, not");
  }
  const char *cpus = r->cpus ? NULL : configured("cpus", text, sizeof text);
  if (cpus) r->cpus = number_of(cpus, 1, MAX_CPUS, "cpus of REPRISE_CONFIG is 1 to 4096, not");
  const char *launcher = r->launcher || explains ? NULL : configured("launcher", text, sizeof text);
  if (launcher && strcmp(launcher, "auto") != 0)
    r->launcher = known_launcher(strcmp(launcher, "srun") == 0     ? "srun"
                                 : strcmp(launcher, "mpirun") == 0 ? "mpirun"
                                                                   : launcher);
}

/* The words behind the command. Options end at the program: what follows is the program's. */
static request parse(int argc, char **argv, bool explains) {
  /* Of both commands: as the words of one alone they would be taken for the beginnings of others. */
  static const struct option options[] = {
      {"ranks", required_argument, NULL, 'n'},
      {"rank", required_argument, NULL, 'r'},
      {"launcher", required_argument, NULL, 'l'},
      {"cpus", required_argument, NULL, 'c'},
      {"print", no_argument, NULL, 'p'},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  request r = {.ranks = 0};
  const char *rank = NULL;
  opterr = 0;
  for (int o; (o = getopt_long(argc, argv, "+:h", options, NULL)) != -1;) {
    switch (o) {
      case 'n': r.ranks = number_of(optarg, 1, MAX_RANKS, "--ranks is 1 to 1048576, not"); break;
      case 'r': rank = optarg; break;
      case 'c': r.cpus = number_of(optarg, 1, MAX_CPUS, "--cpus is 1 to 4096, not"); break;
      case 'l': r.launcher = known_launcher(optarg); break;
      case 'p': r.print = true; break;
      case 'h': fputs(usage_text, stdout); exit(0);
      case ':': refuse("there is nothing behind", argv[optind - 1]);
      default: refuse("cannot use", argv[optind - 1]);
    }
  }
  r.program = argv + optind;
  if (rank && !explains) refuse("run cannot use", "--rank");
  if (r.launcher && explains) refuse("explain cannot use", "--launcher");
  take_config(&r, explains);
  if (!r.ranks) refuse("--ranks is missing", NULL);
  if (rank) r.rank = number_of(rank, 0, r.ranks - 1, "--rank is 0 to one less than --ranks, not");
  if (!r.program[0]) refuse("the program is missing", NULL);
  if (!explains && !r.launcher) r.launcher = getenv("SLURM_JOB_ID") ? "srun" : "mpirun";
  set_knobs(&r);
  return r;
}

/* ---- the command ---- */

typedef struct words {
  char **word;
  size_t n;
} words;

static void *need(void *p) {
  if (p) return p;
  fputs("reprise: out of memory\n", stderr);
  exit(NOT_RUN);
}

/* Room for all that any launcher is told, and the NULL at the end. */
static words room_for(const request *r) {
  size_t n = 32;
  for (char **w = r->program; *w; w++) n++;
  for (char **w = environ; *w; w++) n += 2;
  return (words){.word = need(calloc(n, sizeof(char *)))};
}

static void add(words *w, const char *word) { w->word[w->n++] = need(strdup(word)); }

static void add_number(words *w, const char *option, const char *before, long number) {
  char text[64];
  snprintf(text, sizeof text, "%s%ld", before, number);
  add(w, option);
  add(w, text);
}

static bool begins_with(const char *text, const char *with) {
  return strncmp(text, with, strlen(with)) == 0;
}

static void add_mpirun(words *w, const request *r) {
  add(w, "mpirun");
  if (geteuid() == 0) add(w, "--allow-run-as-root");
  add_number(w, "-n", "", r->ranks);
  if (r->cpus) add_number(w, "--map-by", "slot:PE=", r->cpus);
  for (char **e = environ; *e; e++) {
    if (!begins_with(*e, "REPRISE_") && !begins_with(*e, "UCX_")) continue;
    add(w, "-x");
    w->word[w->n++] = need(strndup(*e, strcspn(*e, "=")));
  }
}

static void add_srun(words *w, const request *r) {
  add(w, "srun");
  add(w, "--mpi=pmix");
  add_number(w, "-n", "", r->ranks);
  if (r->cpus) add_number(w, "-c", "", r->cpus);
}

static bool is_launched(const request *r) { return r->launcher && r->ranks > 1; }

/* The whole command; the knobs go into the environment, which has them from the request. */
static words command_of(request *r) {
  for (int i = 0; i < r->n_settings; i++)
    if (putenv(r->setting[i]) != 0) need(NULL);
  words w = room_for(r);
  if (is_launched(r) && strcmp(r->launcher, "srun") == 0)
    add_srun(&w, r);
  else if (is_launched(r))
    add_mpirun(&w, r);
  for (char **p = r->program; *p; p++) add(&w, *p);
  return w;
}

/* ---- what becomes of it ---- */

/* A word as a shell would have to read it. */
static void print_word(const char *word) {
  static const char plain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (*word && !word[strspn(word, plain)]) {
    fputs(word, stdout);
    return;
  }
  putchar('\'');
  for (; *word; word++) fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, stdout);
  putchar('\'');
}

static int print(const request *r, const words *w) {
  for (int i = 0; i < r->n_settings; i++) printf("%s ", r->setting[i]);
  for (size_t i = 0; i < w->n; i++) {
    if (i) putchar(' ');
    print_word(w->word[i]);
  }
  putchar('\n');
  return fflush(stdout) == 0 ? 0 : NOT_RUN;
}

static bool is_program(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Looked for here, as execvp does, because its error does not tell a missing launcher from a missing program. */
static bool on_path(const char *name) {
  const char *from = getenv("PATH");
  while (from) {
    const size_t n = strcspn(from, ":");
    char *path;
    if (asprintf(&path, "%.*s/%s", n ? (int)n : 1, n ? from : ".", name) < 0) need(NULL);
    const bool found = is_program(path);
    free(path);
    if (found) return true;
    from = from[n] ? from + n + 1 : NULL;
  }
  return false;
}

static int run(const request *r, const words *w) {
  if (is_launched(r) && !on_path(r->launcher)) {
    fprintf(stderr, "reprise: %s is not on PATH; the Debian package %s has it\n", r->launcher,
            strcmp(r->launcher, "srun") == 0 ? "slurm-client" : "openmpi-bin");
    return NOT_FOUND;
  }
  execvp(w->word[0], w->word);
  const int why = errno;
  fprintf(stderr, "reprise: cannot run %s: %s\n", w->word[0], strerror(why));
  return why == ENOENT ? NOT_FOUND : NOT_RUN;
}

int main(int argc, char **argv) {
  if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    fputs(usage_text, stdout);
    return 0;
  }
  if (argc < 2) refuse("a command is missing", NULL);
  const bool explains = strcmp(argv[1], "explain") == 0;
  if (!explains && strcmp(argv[1], "run") != 0) refuse("there is no command", argv[1]);
  request r = parse(argc - 1, argv + 1, explains);
  const words w = command_of(&r);
  return r.print ? print(&r, &w) : run(&r, &w);
}
