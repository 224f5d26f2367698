/* batch.c: `podflame batch FILE`, a batch's bytes as JSON. */
#include <errno.h>
#include <fcntl.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "cli/cli.h"
#include "wire/batch.h"
#include "wire/print.h"

int cli_batch(const struct cli_config *config, char **args, struct err *err)
{
    _cleanup_(buf_free) struct buf bytes = {0};
    _cleanup_(batch_free) struct batch *batch = NULL;
    int r = fs_read_at(AT_FDCWD, args[0], WIRE_MAX_COMPRESSED, &bytes, err);
    if (r < 0)
        return r;
    r = batch_decode(bytes.data, bytes.len, &batch, err);
    return r < 0 ? err_wrap(err, r, "%s", args[0]) : batch_print_json(batch, stdout, err);
}
