/* SPDX-License-Identifier: Apache-2.0
 * jit/body_tree.h -- the records behind jit/body.h, shared by the body_*.c files only.
 *
 * Lives here: tokens, the tree, what binding adds to it (axes, accesses), launch facts, variants.
 * Flow:       body_lex (tokens, carets) -> body_parse with body_expr (tree) -> body_bind (which index
 *             is which axis, which access is affine) -> per launch body_place (extents, bounds, boxes)
 *             and, for new types, body_emit with body_value and body_type (IR); body_variant keeps the
 *             results. A body that scatters is one of three of the same text, see body.h; what is their
 *             own is in body_scatter.
 * Words:      a logical axis is one of the body's own space, in the order of the language; a kernel
 *             axis is one of the IR's, which may be permuted (facts.perm); it has at
 *             least rank 1. */
#ifndef RPI_BODY_TREE_H
#define RPI_BODY_TREE_H

#include <string.h>

#include "core/base/alloc.h"
#include "jit/body.h"

__extension__ typedef __int128 rpi_body_wide;

enum {
  RPI_BODY_MAX_TEXT = 65536,
  RPI_BODY_MAX_NEST = 256,      /* brackets, prefix operators and reductions inside each other */
  RPI_BODY_MAX_DEPTH = 1000,    /* levels of the tree, lets included */
  RPI_BODY_MAX_NAMES = 1024,    /* distinct names */
  RPI_BODY_MAX_VISITS = 200000, /* nodes walked with lets put in */
  RPI_BODY_MAX_TERMS = 4        /* extent() terms of one subscript */
};

typedef enum rpi_body_tok {
  RPI_TOK_END,
  RPI_TOK_NAME,
  RPI_TOK_INT,
  RPI_TOK_FLOAT,
  RPI_TOK_SIGN
} rpi_body_tok;

typedef struct rpi_body_token {
  int32_t kind; /* rpi_body_tok */
  int32_t at, len;
} rpi_body_token;

typedef enum rpi_body_kind {
  RPI_NODE_INT,    /* u */
  RPI_NODE_FLOAT,  /* f */
  RPI_NODE_STORE,  /* ref: store; kids: subscripts; bracket */
  RPI_NODE_SCALAR, /* ref: scalar */
  RPI_NODE_LET,    /* ref: let */
  RPI_NODE_NAME,   /* ref: name of an index */
  RPI_NODE_COORD,  /* index(d): ref is d, may be negative */
  RPI_NODE_EXTENT, /* extent(x, d): ref is the store, axis in u (as int64_t, may be negative) */
  RPI_NODE_CALL,   /* op: rpi_body_fn; kids: arguments. Operators are calls too. */
  RPI_NODE_CAST,   /* op: dtype; one kid */
  RPI_NODE_RED     /* op: rpi_redop; ref: first of n_range ranges; one kid: the element */
} rpi_body_kind;

/* How a function is typed and what it emits: see body_type.c. */
typedef enum rpi_body_rule {
  RPI_RULE_ARITH,
  RPI_RULE_DIVIDE,
  RPI_RULE_INTDIV,
  RPI_RULE_POW,
  RPI_RULE_BITS,
  RPI_RULE_SHIFT,
  RPI_RULE_COMPARE,
  RPI_RULE_LOGIC,
  RPI_RULE_NOT,
  RPI_RULE_INVERT,
  RPI_RULE_NEG,
  RPI_RULE_PLUS,
  RPI_RULE_ABS,
  RPI_RULE_SIGN,
  RPI_RULE_ROUND,
  RPI_RULE_MATH,
  RPI_RULE_TEST,
  RPI_RULE_SIGNBIT,
  RPI_RULE_PICK,
  RPI_RULE_LDEXP,
  RPI_RULE_WHERE,
  RPI_RULE_CLIP,
  RPI_RULE_SQUARE,
  RPI_RULE_RECIPROCAL,
  RPI_RULE_SCALE
} rpi_body_rule;

typedef enum rpi_body_fn {
#define RPI_BODY_FN(NAME, text, n_arg, rule, op, flag) RPI_FN_##NAME,
#include "jit/body_funcs.def"
#undef RPI_BODY_FN
  RPI_N_FN
} rpi_body_fn;

typedef struct rpi_body_fn_info {
  const char *name;
  uint8_t n_arg;
  uint8_t rule; /* rpi_body_rule */
  uint8_t op;   /* rpi_irop */
  uint8_t flag; /* 1: swap the operands (> and >=); SCALE: 0 deg2rad, 1 rad2deg */
} rpi_body_fn_info;

typedef struct rpi_body_node {
  uint8_t kind;
  uint8_t op;
  bool bracket;
  int16_t depth;
  int32_t at; /* where a caret points */
  int32_t ref;
  int32_t kid; /* first of n_kid in rpi_body.kids */
  int32_t n_kid;
  int32_t n_range;
  int32_t stamp; /* body_bind: statement in which `access` is right */
  int32_t access;
  union {
    uint64_t u;
    double f;
  } v;
} rpi_body_node;

typedef struct rpi_body_range {
  int32_t name;
  int32_t at;
  int32_t lo, hi; /* nodes, -1: over the extent of the axis that the index indexes */
} rpi_body_range;

typedef struct rpi_body_name {
  const char *text;
  int32_t len;
} rpi_body_name;

typedef struct rpi_body_param {
  int32_t name;
  bool store;
  bool weak;
  bool used;
  uint8_t dtype;  /* of a scalar */
  uint8_t access; /* of a store: RP_PRIV_ bits */
  int32_t slot;   /* number among the stores, or among the scalars */
} rpi_body_param;

typedef struct rpi_body_let {
  int32_t name;
  int32_t node;
  int32_t scope; /* body_bind: scope in which it was last walked */
} rpi_body_let;

enum { RPI_ASG_SET = -1 }; /* otherwise an rpi_redop */

typedef struct rpi_body_stmt {
  int32_t dest; /* store */
  int32_t asg;
  int32_t at;         /* of the destination */
  int32_t sub, n_sub; /* kids: subscripts of the destination */
  int32_t rhs;
  /* from here on by body_bind */
  bool fold;     /* the root reduction is a reduction of the space */
  int32_t value; /* node of the stored or reduced element */
  int32_t redop; /* of the reduction into the destination (mask), unless RPI_ASG_SET */
  int32_t n_axis;
  int32_t axis[RP_MAX_DIM]; /* names, in the order of the logical axes */
  uint8_t mask;             /* indexed form: reduced logical axes */
  bool scatter;             /* the axes are those of the points; its destination is a table */
  bool left_scalar;         /* subscripts on the left read scalars */
  uint8_t right_axes;       /* of a scatter: axes that the right side mentions */
  int32_t n_left;           /* of its reads, those of the subscripts on the left: they come first */
  int32_t access, n_access; /* its reads, then its destination */
  int32_t use, n_use;
} rpi_body_stmt;

/* k + sum coef[d] * (logical index d) + sum of extents */
typedef struct rpi_body_affine {
  int64_t k;
  int64_t coef[RP_MAX_DIM];
  int32_t n_term;
  struct rpi_body_term {
    int64_t coef;
    int32_t store, axis;
  } term[RPI_BODY_MAX_TERMS];
} rpi_body_affine;

typedef struct rpi_body_access {
  int32_t node; /* -1: a destination */
  int32_t store;
  int32_t at;
  bool table;
  int32_t affine, n_sub; /* indexed form: n_sub forms */
  uint8_t bounded;       /* which of them stand: in a table some subscripts may be affine, too */
} rpi_body_access;

/* An index, alone in a subscript, reaches axis `axis` of `store` as coef * index + k. */
typedef struct rpi_body_use {
  int32_t range; /* the range of a loop (then coef 1, k 0), or -1: a logical axis */
  int32_t index; /* the logical axis */
  int32_t store, axis;
  int32_t at;
  int64_t coef, k;
} rpi_body_use;

/* What the extents of one launch say; see body_place.c. */
typedef struct rpi_body_facts {
  int32_t rank; /* logical, may be 0 */
  int64_t extent[RP_MAX_DIM];
  uint8_t mask[RPI_BODY_MAX_ARGS]; /* per destination: reduced logical axes */
  int8_t perm[RP_MAX_DIM];         /* kernel axis -> logical axis */
  int8_t kaxis[RP_MAX_DIM];        /* logical axis -> kernel axis */
} rpi_body_facts;

typedef struct rpi_body_extent {
  int32_t store, axis; /* of an extent parameter */
} rpi_body_extent;

typedef struct rpi_body_variant_rec {
  rpi_variant pub; /* first: handed out */
  rpi_variant_operand *operand;
  int32_t cap_operand;
  int32_t *access; /* per operand: number of its access in the body */
  int32_t cap_access;
  rpi_body_extent *extent;
  int32_t cap_extent;
  int32_t rank;                         /* key: logical rank, and per store ... */
  uint8_t key_dtype[RPI_BODY_MAX_ARGS]; /* 0xff: inferred; such a record has no IR */
  uint8_t key_rank[RPI_BODY_MAX_ARGS];
  uint8_t key_mask[RPI_BODY_MAX_ARGS];
  uint8_t dtype[RPI_BODY_MAX_ARGS]; /* with the inferred ones */
  struct rpi_body_variant_rec *next;
} rpi_body_variant_rec;

struct rpi_body {
  char *params_text;
  char *text;
  rpi_body_token *tok; /* while parsing */
  int32_t n_tok, cap_tok;
  rpi_body_param *param;
  int32_t n_param, cap_param, n_store, n_scalar;
  int32_t store[RPI_BODY_MAX_ARGS]; /* -> param */
  int32_t scalar[RPI_BODY_MAX_ARGS];
  char **store_name; /* n_store NUL-terminated copies */
  rpi_body_name *name;
  int32_t n_name, cap_name;
  rpi_body_node *node;
  int32_t n_node, cap_node;
  int32_t *kids;
  int32_t n_kids, cap_kids;
  rpi_body_range *range;
  int32_t n_range, cap_range;
  rpi_body_let *let;
  int32_t n_let, cap_let;
  rpi_body_stmt *stmt;
  int32_t n_stmt, cap_stmt;
  bool indexed;
  uint8_t form;     /* rpi_body_form */
  int32_t n_hidden; /* stores behind those of the parameter list */
  int32_t hidden;   /* accesses beyond the statement's: see body_scatter.c */
  rpi_body_access *access;
  int32_t n_access, cap_access;
  rpi_body_affine *affine;
  int32_t n_affine, cap_affine;
  rpi_body_use *use;
  int32_t n_use, cap_use;
  rpi_body_variant_rec *variants;
};

/* Room for n elements in a typed array; false if out of memory. The only place where a typed
 * pointer passes through void *. */
#define RPI_BODY_ROOM(array, cap, n) rpi_body_room(&(array), sizeof *(array), &(cap), (n))
static inline bool rpi_body_room(void *array, size_t elem, int32_t *cap, int32_t n) {
  void *p;
  if (n <= *cap) return true;
  memcpy(&p, array, sizeof p);
  if (!rpi_alloc_grow(&p, cap, n, elem)) return false;
  memcpy(array, &p, sizeof p);
  return true;
}

/* ---- body_lex.c */
/* Appends the tokens of `text` to *tok, the last one RPI_TOK_END. `what` heads the error. */
rp_status rpi_body_lex_scan(const char *what, const char *text, rpi_body_token **tok, int32_t *n,
                            int32_t *cap);
double rpi_body_lex_float(const char *text, int32_t len);
/* "<what>, line 1, column 5: <sentence>", the line and a caret under byte `at` of `text`. */
rp_status rpi_body_lex_fail(rp_status status, const char *what, const char *text, int32_t at,
                            const char *fmt, ...) RPI_PRINTF(5, 6);

/* ---- body_expr.c */
const rpi_body_fn_info *rpi_body_expr_fn(int32_t fn);

/* ---- body_parse.c */
/* The name as a NUL-terminated string, shortened to fit. */
const char *rpi_body_parse_name(const rpi_body *b, int32_t name, char buf[64]);
static inline int32_t rpi_body_kid(const rpi_body *b, int32_t node, int32_t i) {
  return b->kids[b->node[node].kid + i];
}

/* ---- body_bind.c */
rp_status rpi_body_bind(rpi_body *b);

/* What body_scatter.c adds to a bound statement. `form` has as many forms as the access subscripts. */
rp_status rpi_body_bind_access(rpi_body *b, rpi_body_access a, const rpi_body_affine *form);

/* ---- body_check.c */
/* Every axis that is not the destination's takes its extent from a subscript that it is alone. The statement's uses are all
 * from s->use on. */
rp_status rpi_body_check_axes(const rpi_body *b, const rpi_body_stmt *s);
/* A store that is written by an earlier statement, too, is written over the same axes. */
rp_status rpi_body_check_twice(const rpi_body *b, int32_t stmt);
/* In the indexed form a store always has the same number of axes. */
rp_status rpi_body_check_ranks(const rpi_body *b);

/* ---- body_scatter.c */
/* After binding: the accesses and privileges of what is added to the stores. */
rp_status rpi_body_scatter_bind(rpi_body *b);
/* The facts of a body of the form SEGMENTS. */
void rpi_body_scatter_facts(const rpi_body *b, const rpi_body_arg *args, rpi_body_facts *out);

/* ---- body_place.c */
/* Extents and reduced axes of a launch, every check of shapes included. Arguments with dtype -1 do
 * not take part. */
rp_status rpi_body_place_facts(const rpi_body *b, const rpi_body_arg *args, rpi_body_facts *out);
/* Gives the arguments with dtype -1 their geom. */
rp_status rpi_body_place_infer(const rpi_body *b, rpi_body_arg *args);

/* ---- body_emit.c */
/* Fills rec->pub.ir, rec->operand, rec->access, rec->extent; dtype[s] = 0xff are inferred and
 * set. */
rp_status rpi_body_emit(rpi_body *b, const rpi_body_facts *facts, uint8_t *dtype,
                        rpi_body_variant_rec *rec);

/* ---- body_type.c: values and the typing rules */
typedef struct rpi_body_value {
  rpi_irval ins; /* unless literal */
  uint8_t dtype; /* of ins; the default dtype (i64, f64) of a literal */
  bool weak;
  bool literal; /* not emitted yet: i or f by dtype */
  rpi_body_wide i;
  double f;
} rpi_body_value;

typedef struct rpi_body_typer {
  rpi_ir *ir;
  const rpi_body *body;
} rpi_body_typer;

rp_status rpi_body_type_convert(rpi_body_typer *t, int32_t at, rpi_body_value v, rp_dtype to,
                                rpi_body_value *out);
rp_status rpi_body_type_cast(rpi_body_typer *t, int32_t at, rpi_body_value v, rp_dtype to,
                             rpi_body_value *out);
rp_status rpi_body_type_call(rpi_body_typer *t, int32_t at, int32_t fn, const rpi_body_value *a,
                             rpi_body_value *out);
rp_status rpi_body_type_bool(rpi_body_typer *t, int32_t at, rpi_body_value v, rpi_body_value *out);
/* Whether v may be stored to a `to` without a cast. */
bool rpi_body_type_storable(const rpi_body_value *v, rp_dtype to);

#endif
