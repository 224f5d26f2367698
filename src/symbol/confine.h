/* confine.h: a process that reads what may be made to harm gives away all it does not need. For
 * src/symbol only. */
#pragma once

/* From here on this process can allocate some memory, compute for some time, read from and write to
 * the descriptors it has and is sent, and end. It dies with the thread that started it. What the
 * kernel refuses is left out: less confined is better than no names. */
void confine_process(void);
