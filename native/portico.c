// System calls that Node has no way to, or only a long one: Linux, Node-API 8 (Node 20 and newer, any build).
// This file: processes, and the list of all functions. Descriptors and lengths come from src/native/, which says
// when each may be called. Errors are given back as -errno.

#include "native.h"
#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// A process number: 0 and below would mean groups, and "any".
static bool take_pid(napi_env env, napi_callback_info info, int32_t *pid) {
  napi_value arg;
  size_t count = 1;
  return napi_get_cb_info(env, info, &count, &arg, NULL, NULL) == napi_ok && count == 1 &&
         napi_get_value_int32(env, arg, pid) == napi_ok && *pid > 0;
}

// waitFor(pid): takes note of the end of a child, so that it is no zombie any more. Gives its number, or 0 if it lives.
napi_value wait_for(napi_env env, napi_callback_info info) {
  int32_t pid;
  if (!take_pid(env, info, &pid)) return number(env, -EINVAL);
  pid_t ended = waitpid(pid, NULL, WNOHANG);
  return number(env, ended < 0 ? -errno : ended);
}

// scheduleAsBatch(pid): the process's main thread, and what it starts from then on, is a batch task. 0: done.
napi_value schedule_as_batch(napi_env env, napi_callback_info info) {
  int32_t pid;
  struct sched_param priority = {0};
  if (!take_pid(env, info, &pid)) return number(env, -EINVAL);
  // musl's function of this name always fails.
  return number(env, syscall(SYS_sched_setscheduler, pid, SCHED_BATCH, &priority) < 0 ? -errno : 0);
}

static const struct {
  const char *name;
  napi_callback callback;
} functions[] = {
    {"send", send_pieces},
    {"pages", pages},
    {"lend", lend},
    {"pollStart", poll_start},
    {"pollAdd", poll_add},
    {"pollRemove", poll_remove},
    {"pollRead", poll_read},
    {"pollSendFile", poll_send_file},
    {"pollSent", poll_sent},
    {"pollStopSending", poll_stop_sending},
    {"waitFor", wait_for},
    {"scheduleAsBatch", schedule_as_batch},
};

static napi_value init(napi_env env, napi_value exports) {
  for (size_t index = 0; index < sizeof functions / sizeof *functions; index++) {
    napi_value function;
    const char *name = functions[index].name;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, functions[index].callback, NULL, &function) != napi_ok ||
        napi_set_named_property(env, exports, name, function) != napi_ok)
      return NULL;
  }
  return exports;
}

NAPI_MODULE(portico, init)
