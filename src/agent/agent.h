/* agent.h: the parts of podflamed, put together and taken apart again. */
#pragma once

#include <stdbool.h>

struct agent;
struct agent_options;
struct err;

/* Starts sampling, or the replay. */
int agent_start(const struct agent_options *options, struct agent **ret, struct err *err);

/* Readable when there is nothing more to sample: the process it was told to sample is gone. */
int agent_ended_fd(const struct agent *agent);

/* Takes over the settings that can change while it runs. */
void agent_reload(struct agent *agent, const struct agent_options *options);

/* Ships the current window and ends all threads. */
void agent_stop(struct agent **agent);

/* Feeds the whole recording of options->replay through the agent. Instead of sampling; to be
 * called once, between start and stop. */
int agent_replay(struct agent *agent, struct err *err);
