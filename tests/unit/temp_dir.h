/* temp_dir.h: a directory for one test, gone afterwards with all that is in it. */
#pragma once

#include <limits.h>

struct temp_dir {
    char path[PATH_MAX];
    int fd;
};

/* For cmocka_unit_test_setup_teardown: *state becomes a struct temp_dir. */
int temp_dir_make(void **state);
int temp_dir_remove(void **state);

#define IN_A_TEMP_DIR(test) cmocka_unit_test_setup_teardown(test, temp_dir_make, temp_dir_remove)
