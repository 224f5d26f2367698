/* short_name.h: a function's readable name in short, for where room is dear: a box of a flamegraph,
 * a line of a list. For display only: two functions may have one short name. */
#pragma once

#include <stdbool.h>

/* Bytes of either, with the NUL, as of the wire's strings: a longer one stays. */
#define SHORT_NAME_MAX 16384

/* What has the name: one language's may look like another's. */
enum name_of { NAME_OF_CODE, NAME_OF_JIT, NAME_OF_INLINED };

/* Writes the short form of `name`:
 *   template and type arguments           std::vector<…>::push_back, <Vec<…> as Extend<…>>::extend
 *   without parameters                    main::{lambda#1}::operator()
 *   without what compilers put in         (anon), [cold]; no ABI tags, other clones or std::__1
 *   without the package's path            cart.(*Cart).Total, Cart.total
 * False, and `ret` is undefined, if the name is short already, or of a form that is not certain:
 * unbalanced, or with anything behind its parameters that is not known here. */
bool short_name(const char *name, enum name_of kind, char ret[SHORT_NAME_MAX]);
