/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_ir.c -- libFuzzer target: any text as a kernel IR.
 * What parses must print and parse back to the same bytes and origins; what also passes the check
 * must still pass it after every optimisation, and a second run of removal must find nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "jit/ir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
  if (!ok) abort();
}

static void round_trip(const rpi_ir *ir) {
  rpi_strbuf text[2];
  rpi_ir again;
  for (int32_t i = 0; i < 2; i++) rpi_strbuf_init(&text[i]);
  rpi_ir_print(ir, &text[0]);
  require(rpi_ir_parse(rpi_strbuf_str(&text[0]), &again) == RP_OK);
  rpi_ir_print(&again, &text[1]);
  require(text[0].len == text[1].len && memcmp(text[0].text, text[1].text, text[0].len) == 0);
  for (int32_t i = 0; i < 2; i++) rpi_strbuf_clear(&text[i]);
  rpi_ir_bytes(ir, &text[0]);
  rpi_ir_bytes(&again, &text[1]);
  require(text[0].len == text[1].len && memcmp(text[0].text, text[1].text, text[0].len) == 0);
  rpi_ir_deinit(&again);
  for (int32_t i = 0; i < 2; i++) rpi_strbuf_deinit(&text[i]);
}

static void optimise(rpi_ir *ir) {
  static rp_status (*const pass[])(rpi_ir *) = {rpi_opt_fold, rpi_opt_cse, rpi_opt_hoist,
                                                rpi_opt_cse, rpi_opt_dce};
  require(rpi_opt_live(ir) >= 0);
  for (int32_t i = 0; i < RPI_COUNT(pass); i++) {
    require(pass[i](ir) == RP_OK);
    require(rpi_ir_check(ir) == RP_OK);
  }
  int32_t n = ir->n_ins;
  require(rpi_opt_dce(ir) == RP_OK && ir->n_ins == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = rpi_alloc(size + 1);
  rpi_ir ir;
  if (text == NULL) return 0;
  if (size > 0) memcpy(text, data, size);
  text[size] = '\0';
  if (rpi_ir_parse(text, &ir) == RP_OK) {
    round_trip(&ir);
    if (rpi_ir_check(&ir) == RP_OK) optimise(&ir);
    rpi_ir_deinit(&ir);
  } else {
    require(rpi_status_message()[0] != '\0');
  }
  rpi_alloc_free(text);
  return 0;
}
