/* rule.c: the register numbers rules are written with. See rule.h. */
#include "unwind/rule.h"

/* On x86-64 the call has pushed the return address; its place is in every CIE. */
const struct rule_registers rule_registers_x86_64 = {
    .sp = 7, .fp = 6, .ra = 16, .count = 17, .initial_ra = PLACE_UNDEFINED};

/* On aarch64 it is in x30 until the function saves it. */
const struct rule_registers rule_registers_aarch64 = {
    .sp = 31, .fp = 29, .ra = 30, .count = 32, .initial_ra = PLACE_SAME};
