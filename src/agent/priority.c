/* priority.c: takes a thread, gives it its place in the queue for the CPU. See priority.h. */
#include "agent/priority.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "base/log.h"

#define SAMPLER_FIFO 20
#define SAMPLER_NICE (-15)
#define HELPER_NICE  (-5)

void priority_raise_helper(void)
{
    /* On Linux nice values are a thread's own. Without CAP_SYS_NICE it stays as it is. */
    if (setpriority(PRIO_PROCESS, 0, HELPER_NICE) < 0)
        log_debug("helper threads run at normal priority");
}

/* At normal priority a loaded machine lets the rings run over; the thread uses some microseconds a
 * sample, so nobody notices. */
void priority_raise_sampler(void)
{
    struct sched_param param = {.sched_priority = SAMPLER_FIFO};
    if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &param) == 0)
        return;
    if (setpriority(PRIO_PROCESS, 0, SAMPLER_NICE) < 0)
        log_info("sampling runs at normal priority: under full load records may be lost; "
                 "CAP_SYS_NICE lets it run first");
}
