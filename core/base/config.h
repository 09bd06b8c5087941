/* SPDX-License-Identifier: Apache-2.0
 * core/base/config.h -- the knobs of a context: one table (config.def) gives the fields, the
 * options, the environment variables, the checks and the printed documentation. */
#ifndef RPI_CONFIG_H
#define RPI_CONFIG_H

#include "core/base/status.h"
#include "core/base/strbuf.h"

enum { RPI_TIER_AUTO = 0, RPI_TIER_0 = 1, RPI_TIER_1 = 2 };
enum { RPI_CUT_AUTO = 0, RPI_CUT_ROWS = 1, RPI_CUT_BOXES = 2 };
enum { RPI_VECTOR_AUTO = 0, RPI_VECTOR_AVX2 = 1, RPI_VECTOR_AVX512 = 2 };

#define RPI_KNOB_TYPE_INT int64_t
#define RPI_KNOB_TYPE_FLAG bool
#define RPI_KNOB_TYPE_ENUM int32_t
#define RPI_KNOB_TYPE_TEXT char *

typedef struct rpi_config {
#define RPI_KNOB(name, kind, def, choices, meaning) RPI_KNOB_TYPE_##kind name;
#include "core/base/config.def"
#undef RPI_KNOB
} rpi_config;

/* Defaults, then REPRISE_CONFIG, then one variable per knob, then `text` (may be NULL). Both
 * "--name value" and "--name=value" are understood; values may be in double quotes. An unknown name
 * or a bad value is RP_ERR_CONFIG, naming it and the choices. */
rp_status rpi_config_init(rpi_config *c, const char *text);
void rpi_config_deinit(rpi_config *c);
/* One line per knob. */
void rpi_config_print(const rpi_config *c, rpi_strbuf *out);
/* The config with nothing set. */
rp_status rpi_config_defaults(rpi_config *c);

#endif
