/* SPDX-License-Identifier: Apache-2.0
 * core/model/op.c -- what sentences call an op's arguments.
 * Lives here: names of parameters, for people. Not here: the records (op.h). */
#include "core/model/op.h"

#include <stdio.h>
#include <string.h>

/* The i-th parameter without a dtype (a store), or with one (a scalar): its text in `params`. */
static const char *find_param(const char *params, int32_t i, bool scalar, int32_t *length) {
  for (const char *p = params; *p;) {
    size_t n = strcspn(p, ",");
    const char *colon = memchr(p, ':', n);
    if ((colon != NULL) == scalar && i-- == 0) {
      const char *end = colon ? colon : p + n;
      while (p < end && *p == ' ') p++;
      while (p < end && end[-1] == ' ') end--;
      *length = (int32_t)(end - p);
      return p;
    }
    p += n + (p[n] == ',');
  }
  *length = 0;
  return params;
}

const char *rpi_op_param(const rp_op *op, int32_t i, bool scalar, char buf[RPI_OP_PARAM]) {
  int32_t length = 0;
  const char *name = find_param(op->params, i, scalar, &length);
  snprintf(buf, RPI_OP_PARAM, "%s[%d] ('%.*s')", scalar ? "scalars" : "stores", (int)i,
           length < 40 ? (int)length : 40, name);
  return buf;
}
